"""The half-life of the popularity of late, for the evaluation and for the lists of popular movies."""

from __future__ import annotations

from reco_platform.engine.task import Task
from reco_platform.splits import interactions


def chosen_half_life(task: Task) -> int:
    """Days, chosen on the validation fold and logged; the same for all steps of a run.

    Args:
        task: with the input interactions and the parameter liked_rating.
    """
    # Restoring needs no compiled code.
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.evaluation.half_life import HALF_LIVES, choose_half_life  # noqa: PLC0415

    folds = (interactions.TRAIN,), (interactions.VALIDATION,)
    parts = interactions.read_parts(task.open("interactions"), interactions.COLUMNS, folds, task.threads)
    train, validation = map(rating_arrays, parts)
    days = choose_half_life(train, validation, task.params["liked_rating"])
    task.log(f"popular lately: half-life of {days:,} days, the best of {HALF_LIVES} on the validation fold")
    return days
