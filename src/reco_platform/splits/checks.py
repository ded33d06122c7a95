"""Checks of a split: every fold has rows, and no row of a later fold could leak into an earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reco_platform.core.arrays import Int8Array, Int64Array
from reco_platform.core.errors import DataError
from reco_platform.splits import kernels
from reco_platform.splits.folds import Split, utc_text
from reco_platform.splits.interactions import FOLDS
from reco_platform.splits.latest import LatestRatings


def check_not_empty(rows: LatestRatings, fold: Int8Array, params: Mapping[str, Any]) -> None:
    """Checks that every fold has rows.

    Args:
        rows: the ratings.
        fold: positions in FOLDS, shape (rows,).
        params: as for `split`.

    Raises:
        DataError: a fold is empty.
    """
    counts = np.bincount(fold, minlength=len(FOLDS))
    if counts.all():
        return
    empty = [name for name, size in zip(FOLDS, counts, strict=True) if size == 0]
    problem = f"no row in the {' or the '.join(empty)} fold: "
    if params["split"] == "global_time" and params["test_from"]:
        data = f"the ratings are from {utc_text(int(rows.timestamps.min()))} to {utc_text(int(rows.timestamps.max()))}"
        dates = f"validation_from={params['validation_from']}, test_from={params['test_from']}"
        raise DataError(f"{problem}{dates}, but {data}", "set dates with ratings before, between and after them")
    reason = {
        "global_time": "too few, or too many of them share one moment",
        "user_time": "but too few each for their users",
        "random": "too few",
    }[params["split"]]
    fractions = f"test_fraction={params['test_fraction']} or validation_fraction={params['validation_fraction']}"
    raise DataError(f"{problem}{len(rows):,} ratings, {reason}", f"use more data, or increase {fractions}")


def check_leaks(rows: LatestRatings, split: Split) -> None:
    """Checks that no row of a later fold could be known when an earlier one ends.

    Raises:
        DataError: a (user, movie) occurs twice; with global_time, a row is on the wrong side of a cut; with user_time,
            a row is later than one of the same user in a later fold.
    """
    row = int(kernels.find_duplicate(rows.starts, rows.movie_index))
    if row >= 0:
        movie = rows.movies[rows.movie_index[row]]
        raise DataError(f"user {rows.user_of(row)} has more than one row of movie {movie}, so it could be in two folds")
    if split.kind == "random":
        return
    first, last = kernels.time_ranges(rows.starts, rows.timestamps, split.fold)
    if split.cuts is not None:
        check_cut(FOLDS[:1], last[:, :1], FOLDS[1:], first[:, 1:], split.cuts.train)
        check_cut(FOLDS[:2], last[:, :2], FOLDS[2:], first[:, 2:], split.cuts.test)
        return
    late = (last[:, 0] > first[:, 1:].min(axis=1)) | (last[:, :2].max(axis=1) > first[:, 2])
    if late.any():
        user = rows.users[int(np.argmax(late))]
        raise DataError(f"user {user} has a row that is later than one of a later fold ({late.sum():,} users have)")


def check_cut(before: Sequence[str], last: Int64Array, after: Sequence[str], first: Int64Array, cut: int) -> None:
    """Checks that the rows of the folds `before` are not after a cut, and those of the folds `after` are.

    Args:
        before: names of folds.
        last: the last timestamps of each user in these folds, shape (users, folds).
        after: names of folds.
        first: the first timestamps of each user in these folds, shape (users, folds).
        cut: timestamp in microseconds since 1970.

    Raises:
        DataError: a row is on the wrong side.
    """
    if last.max() > cut:
        raise DataError(f"a {' or '.join(before)} row is later than the cut {utc_text(cut)}: {utc_text(last.max())}")
    if first.min() <= cut:
        raise DataError(f"a {' or '.join(after)} row is not after the cut {utc_text(cut)}: {utc_text(first.min())}")
