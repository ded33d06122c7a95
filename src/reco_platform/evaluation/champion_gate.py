"""The champion gate: a model becomes champion if there is none, or if it is significantly better on the test fold.

Lists are compared by NDCG, predictions by RMSE. A model is better if it is significantly better by one of the two and
not significantly worse by the other. Where no ranking model takes part, RMSE decides alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from reco_platform.evaluation.verdict import verdict

State = Literal["first", "champion", "challenger", "untracked"]

COMPARISONS = {
    "better": "better than",
    "worse": "significantly worse than",
    "undecided": "not significantly better than",
}
VERDICTS = {
    "better": "significantly better",
    "worse": "significantly worse",
    "undecided": "no significant difference",
}


@dataclass(frozen=True)
class Decision:
    """The decision of the gate about a model.

    Attributes:
        model_version: the model.
        state: first (there was no champion), champion, challenger, or untracked (MLflow was not used or not reachable).
        reason: for users.
        champion_version: the champion at that time.
        metric: the metric that decided; None if the two were not compared.
        difference: the model's metric minus the champion's, with its interval; see bootstrap.Difference.
        differences: the same for every metric by which they were compared.
    """

    model_version: str
    state: State
    reason: str
    champion_version: str | None = None
    metric: str | None = None
    difference: dict[str, Any] | None = None
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def tags(self) -> dict[str, str]:
        """The decision as tags for MLflow: the state, the metric that decided, and the verdict of each metric."""
        verdicts = {
            f"gate.{metric.replace('@', '_at_')}": f"{VERDICTS[verdict(metric, one)]}, {difference_text(one)}"
            for metric, one in self.differences.items()
        }
        return {"gate.state": self.state, "gate.decided_by": self.metric or "no comparison", **verdicts}

    def is_valid_for(self, gate_metric: str) -> bool:
        """Whether the decision would be the same with this gate_metric: no comparison, or one by this metric."""
        return self.metric is None or gate_metric in {self.metric, *self.differences}


def decide_without_comparison(model: Mapping[str, str], champion: Mapping[str, str] | None) -> Decision | None:
    """The decision if there is no champion, if the model is the champion, or if the champion is of another data set.

    None if the two must be compared.

    Args:
        model: model_version, model (the fingerprint of its factors), dataset, interactions.
        champion: the same of the present champion; None if there is none.
    """
    version = model["model_version"]
    if champion is None:
        return Decision(version, "first", "there was no champion before it")
    before = champion["model_version"]
    if before == version and champion["model"] == model["model"]:
        return Decision(version, "champion", "it is the champion already", before)
    if champion["dataset"] != model["dataset"]:
        reason = (
            f"champion {before} is of the data set {champion['dataset']}, and models of two data sets are not compared;"
            f" make promote MODEL_VERSION={version} puts this one in its place, registered_model=NAME keeps both"
        )
        return Decision(version, "challenger", reason, before)
    return None


def decide_without_factors(model: Mapping[str, str], champion: Mapping[str, str], problem: str) -> Decision:
    """The decision if the champion's factors cannot be used, for the reason in `problem`."""
    version, before = model["model_version"], champion["model_version"]
    reason = f"the factors of champion {before} {problem}; make promote MODEL_VERSION={version} replaces it"
    return Decision(version, "challenger", reason, before)


def decide_by_differences(
    model: Mapping[str, str], champion: Mapping[str, str], differences: Mapping[str, dict[str, Any]]
) -> Decision:
    """Champion if significantly better by one metric and significantly worse by none.

    Args:
        model: as for `decide_without_comparison`.
        champion: the same of the present champion.
        differences: the model minus the champion by each metric, the most important first; see bootstrap.Difference.
    """
    before = champion["model_version"]
    verdicts = {metric: verdict(metric, difference) for metric, difference in differences.items()}
    found = next((each for each in ("worse", "better") if each in verdicts.values()), "undecided")
    deciding = next(metric for metric, each in verdicts.items() if each == found)
    reason = f"{COMPARISONS[found]} champion {before} by {deciding} on the same test fold: " + difference_text(
        differences[deciding]
    )
    for metric, each in verdicts.items():
        if metric != deciding:
            reason += f"; {metric}: {VERDICTS[each]}, {difference_text(differences[metric])}"
    if champion["interactions"] != model["interactions"]:
        reason += "; the champion was trained on other data and may have seen some of these test ratings"
    state: State = "champion" if found == "better" else "challenger"
    return Decision(model["model_version"], state, reason, before, deciding, differences[deciding], dict(differences))


def difference_text(difference: Mapping[str, Any]) -> str:
    """For example: difference +0.0107, 95% [-0.0022, +0.0256]."""
    if difference["value"] is None or difference["low"] is None:
        return str(difference["missing_because"])
    return f"difference {difference['value']:+.4f}, 95% [{difference['low']:+.4f}, {difference['high']:+.4f}]"
