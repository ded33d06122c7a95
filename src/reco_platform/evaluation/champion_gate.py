"""Whether a new model becomes the champion: only if there is none, or if it surely beats it on the same test fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["first", "champion", "challenger", "untracked"]


@dataclass(frozen=True)
class Decision:
    """What became of a model when it was judged.

    Attributes:
        model_version: the model.
        state: first (there was no champion), champion, challenger, or untracked (nobody could be asked).
        reason: in words.
        champion_version: the champion of that time.
        metric: by which the two were compared; None where they were not.
        difference: the model's metric less the champion's, with the interval over the same resamples.
    """

    model_version: str
    state: State
    reason: str
    champion_version: str | None = None
    metric: str | None = None
    difference: dict[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def without_comparing(model: Mapping[str, str], champion: Mapping[str, str] | None) -> Decision | None:
    """The decision where nothing is to be compared: no champion, this very model, or one of another data set.

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


def without_factors(model: Mapping[str, str], champion: Mapping[str, str], problem: str) -> Decision:
    """The decision where the champion's factors cannot be used."""
    version, before = model["model_version"], champion["model_version"]
    reason = f"the factors of champion {before} {problem}; make promote MODEL_VERSION={version} replaces it"
    return Decision(version, "challenger", reason, before)


def judged(model: Mapping[str, str], champion: Mapping[str, str], metric: str, found: dict[str, Any]) -> Decision:
    """The decision from a difference: better only if its whole interval is below 0, since less error is better."""
    before = champion["model_version"]
    better = found["high"] is not None and found["high"] < 0
    word = "better than" if better else "not surely better than"
    reason = f"{word} champion {before} by {metric} on the same test fold: {described(found)}"
    if champion["interactions"] != model["interactions"]:
        reason += "; the champion was trained on other data and may have seen some of these test ratings"
    return Decision(model["model_version"], "champion" if better else "challenger", reason, before, metric, found)


def described(found: Mapping[str, Any]) -> str:
    if found["value"] is None or found["low"] is None:
        return str(found["missing_because"])
    return f"difference {found['value']:+.4f}, 95% [{found['low']:+.4f}, {found['high']:+.4f}]"
