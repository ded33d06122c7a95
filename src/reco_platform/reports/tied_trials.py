"""The trials of a sweep that the validation fold cannot tell from the best one, and the simplest of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Trial = Mapping[str, Any]

SIMPLER_IF_LESS = ("rank", "ranking_rank", "knn_neighbours", "max_items", "max_iter", "ranking_max_iter")
SIMPLER_IF_MORE = ("reg_param", "ranking_reg_param", "ease_reg", "knn_shrink")


def tied_with_best(trials: Sequence[Trial]) -> list[Trial]:
    """The successful trials whose value lies in the 95% interval of the best one, with that one first.

    The interval is the best trial's own. An interval of the difference would be narrower, but needs the errors of each
    user in both trials, which a leaderboard does not have: a trial that is listed here may be worse.

    Args:
        trials: lines of a leaderboard, best first.
    """
    good = [trial for trial in trials if trial["error"] is None]
    if not good or good[0]["low"] is None:
        return good[:1]
    return [trial for trial in good if good[0]["low"] <= trial["value"] <= good[0]["high"]]


def simplest(trials: Sequence[Trial]) -> Trial:
    """The trial with the fewest factors, neighbours and iterations, then the strongest regularisation.

    Args:
        trials: at least one; the first of equals counts.
    """

    def size(trial: Trial) -> list[float]:
        params = trial["params"]
        less = [float(params.get(key) or 0) for key in SIMPLER_IF_LESS]
        return [*less, *(-float(params.get(key) or 0) for key in SIMPLER_IF_MORE)]

    return min(trials, key=size)


def tie_text(leaderboard: Mapping[str, Any]) -> str | None:
    """A sentence on trials that are statistically tied with the best; None if there are none.

    Args:
        leaderboard: axes and trials, as in leaderboard.json.
    """
    tied = tied_with_best(leaderboard["trials"])
    if len(tied) < 2:
        return None
    kind = tied[0]["params"].get("ranking_model")  # sizes of models of two kinds cannot be compared
    plain = simplest([trial for trial in tied if trial["params"].get("ranking_model") == kind])
    params = " ".join(f"{key}={plain['params'][key]}" for key in leaderboard["axes"] if key in plain["params"])
    return (
        f"{len(tied):,} of {len(leaderboard['trials']):,} trials are statistically tied with the best (they lie within "
        f"its 95% interval); the simplest of them is place {plain['place']}: {params or plain['trial']}"
    )
