"""The champion gate: a model becomes champion if there is none, or if it is significantly better on the test fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["first", "champion", "challenger", "untracked"]


@dataclass(frozen=True)
class Decision:
    """The decision of the gate about a model.

    Attributes:
        model_version: the model.
        state: first (there was no champion), champion, challenger, or untracked (MLflow was not used or not reachable).
        reason: for users.
        champion_version: the champion at that time.
        metric: by which the two were compared; None if they were not.
        difference: the model's metric minus the champion's, with its interval; see bootstrap.Difference.
    """

    model_version: str
    state: State
    reason: str
    champion_version: str | None = None
    metric: str | None = None
    difference: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


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


def decide_by_difference(
    model: Mapping[str, str], champion: Mapping[str, str], metric: str, difference: dict[str, Any]
) -> Decision:
    """The decision from the difference in an error metric: champion only if the whole interval is below 0."""
    before = champion["model_version"]
    better = difference["high"] is not None and difference["high"] < 0
    comparison = "better than" if better else "not significantly better than"
    reason = f"{comparison} champion {before} by {metric} on the same test fold: {difference_text(difference)}"
    if champion["interactions"] != model["interactions"]:
        reason += "; the champion was trained on other data and may have seen some of these test ratings"
    return Decision(model["model_version"], "champion" if better else "challenger", reason, before, metric, difference)


def difference_text(difference: Mapping[str, Any]) -> str:
    """For example: difference +0.0107, 95% [-0.0022, +0.0256]."""
    if difference["value"] is None or difference["low"] is None:
        return str(difference["missing_because"])
    return f"difference {difference['value']:+.4f}, 95% [{difference['low']:+.4f}, {difference['high']:+.4f}]"
