"""Assign each rating to a fold: train, validation or test.

There are three kinds of split:

- global_time: the same cuts in time for all users. Later folds contain later ratings; ratings with the same timestamp
  stay in the same fold.
- user_time: the last ratings of each user. A user's ratings with the same timestamp count in order of movie_id, so that
  the folds have exactly the requested sizes.
- random: ratings in an order drawn from split_seed, user_id and movie_id only, so that it does not depend on the order
  and number of other ratings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reco_platform.core.arrays import BoolArray, Int8Array, Int64Array
from reco_platform.core.errors import DataError
from reco_platform.splits import kernels
from reco_platform.splits.checks import check_leaks, check_not_empty
from reco_platform.splits.folds import Cuts, Split, utc_text
from reco_platform.splits.interactions import FOLDS
from reco_platform.splits.latest import LatestRatings

BIN_BITS = 16
ROUNDING = 1e-9  # so that 10 * (1 - 0.9) counts as 1


def split(rows: LatestRatings, params: Mapping[str, Any]) -> Split:
    """Assigns all rows to folds, and checks the folds.

    Args:
        rows: the ratings.
        params: split, test_fraction, validation_fraction, validation_from, test_from, last_k, split_seed.

    Raises:
        DataError: a fold is empty, or a row is in a fold where it must not be.
    """
    found = unchecked_split(rows, params)
    check_not_empty(rows, found.fold, params)
    check_leaks(rows, found)
    return found


def unchecked_split(rows: LatestRatings, params: Mapping[str, Any]) -> Split:
    """As `split`, without the checks."""
    kind, test_fraction, validation_fraction = params["split"], params["test_fraction"], params["validation_fraction"]
    if kind == "random":
        draws = random_draws(rows, params["split_seed"])
        return Split(kind, folds_by_cuts(draws, cuts_by_count(draws, test_fraction, validation_fraction)))
    if kind == "user_time":
        sizes = np.diff(rows.starts)
        before_test, before_validation = (
            last_k_sizes(sizes, params["last_k"])
            if params["last_k"]
            else fraction_sizes(sizes, test_fraction, validation_fraction)
        )
        return Split(kind, folds_by_user(rows, before_validation, before_test))
    if params["test_from"]:
        cuts = cuts_by_date(params["validation_from"], params["test_from"])
    else:
        cuts = cuts_by_count(rows.timestamps, test_fraction, validation_fraction)
    return Split(kind, folds_by_cuts(rows.timestamps, cuts), cuts)


# --- global_time and random: cuts in the order of a value


def cuts_by_count(values: Int64Array, test_fraction: float, validation_fraction: float) -> Cuts:
    """Cuts by which the folds get their share of rows, in order of a value; equal values stay in the earlier fold.

    Args:
        values: shape (rows,); timestamps in microseconds, or random draws.
        test_fraction: share of all rows, the last ones, for the test fold.
        validation_fraction: share of the remaining rows, the last ones, for the validation fold.

    Raises:
        DataError: there are no rows.
    """
    if len(values) == 0:
        raise DataError("there are no ratings to split", "read the quality report of silver ratings for rejected rows")
    test = nth_smallest(values, int(rows_before(len(values), test_fraction)))
    training = int(np.count_nonzero(values <= test))
    return Cuts(train=nth_smallest(values, int(rows_before(training, validation_fraction))), test=test)


def cuts_by_date(validation_from: str, test_from: str) -> Cuts:
    """Cuts just before midnight UTC of two days; a row at midnight belongs to the day that begins."""
    first, second = (int(np.datetime64(day, "us").astype(np.int64)) for day in (validation_from, test_from))
    return Cuts(train=first - 1, test=second - 1)


def folds_by_cuts(values: Int64Array, cuts: Cuts) -> Int8Array:
    """The fold of each row, shape (rows,)."""
    return (values > cuts.train).astype(np.int8) + (values > cuts.test)


def nth_smallest(values: Int64Array, n: int) -> int:
    """The n-th smallest value, in linear time: counts values in bins, then sorts one bin.

    Args:
        values: shape (rows,); their range must be less than 2^63.
        n: from 1 to rows.
    """
    low, high = int(values.min()), int(values.max())
    shift = max(0, (high - low).bit_length() - BIN_BITS)
    counts = np.zeros(1 << BIN_BITS, np.int64)
    kernels.count_bins(values, low, shift, counts)
    ends = np.cumsum(counts)
    chosen = int(np.searchsorted(ends, n))
    position = n - 1 - int(ends[chosen] - counts[chosen])
    members = np.empty(counts[chosen], np.int64)
    kernels.copy_bin(values, low, shift, chosen, members)
    return int(np.partition(members, position)[position])


def random_draws(rows: LatestRatings, seed: int) -> Int64Array:
    """A pseudorandom number for each row, from the seed and its ids only, shape (rows,)."""
    draws = np.empty(len(rows), np.int64)
    kernels.draw(seed, rows.starts, rows.users, rows.movies, rows.movie_index, draws)
    return draws


# --- user_time: sizes of each user's folds


def fraction_sizes(
    sizes: Int64Array, test_fraction: float, validation_fraction: float
) -> tuple[Int64Array, Int64Array]:
    """How many of each user's rows come before the test fold, and before the validation fold; at least one each.

    Args:
        sizes: rows of each user, shape (users,).
        test_fraction: share of a user's rows for the test fold.
        validation_fraction: share of the remaining rows for the validation fold.
    """
    before_test = rows_before(sizes, test_fraction)
    return before_test, rows_before(before_test, validation_fraction)


def last_k_sizes(sizes: Int64Array, last_k: int) -> tuple[Int64Array, Int64Array]:
    """As `fraction_sizes`: the last k rows are test, the k before them validation, and at least one is train."""
    before_test = np.maximum(1, sizes - last_k)
    return before_test, np.maximum(1, before_test - last_k)


def rows_before(rows: int | Int64Array, last_fraction: float) -> Int64Array:
    """How many of `rows` come before the last fraction, at least one; in the shape of `rows`."""
    return np.maximum(1, np.floor(np.asarray(rows) * (1 - last_fraction) + ROUNDING)).astype(np.int64)


def folds_by_user(rows: LatestRatings, before_validation: Int64Array, before_test: Int64Array) -> Int8Array:
    """The fold of each row, shape (rows,), from the number of each user's rows before validation and before test.

    A user's rows are in order of time, those with the same timestamp in order of movie.
    """
    fold = np.empty(len(rows), np.int8)
    kernels.folds_by_user(rows.starts, rows.timestamps, before_validation, before_test, fold)
    return fold


# --- facts


def split_facts(rows: LatestRatings, split: Split) -> dict[str, Any]:
    """The facts for the receipt: counts, cuts, and for each fold its users and movies, warm and cold.

    A user or movie of the validation fold is warm if it has rows in train; one of the test fold, if it has rows in
    train or validation, on which the model is trained. A row is warm if both its user and its movie are.
    """
    counts = np.bincount(split.fold, minlength=len(FOLDS)).tolist()
    users_in, movies_in = np.zeros((3, len(rows.users)), bool), np.zeros((3, len(rows.movies)), bool)
    kernels.mark_present(rows.starts, rows.movie_index, split.fold, users_in, movies_in)
    found: dict[str, dict[str, int]] = {}
    for number, name in enumerate(FOLDS):
        users, movies = users_in[number], movies_in[number]
        found[name] = {"rows": counts[number], "users": int(users.sum()), "movies": int(movies.sum())}
        if number:
            known_users, known_movies = users_in[:number].max(axis=0), movies_in[:number].max(axis=0)
            found[name] |= warm_and_cold("users", users, known_users) | warm_and_cold("movies", movies, known_movies)
            found[name]["warm_rows"] = int(
                kernels.warm_rows(rows.starts, rows.movie_index, split.fold, number, known_users, known_movies)
            )
    cuts = split.cuts and {"validation_after": utc_text(split.cuts.train), "test_after": utc_text(split.cuts.test)}
    return {
        "split": split.kind,
        "train_count": counts[0] + counts[1],
        "validation_count": counts[1],
        "test_count": counts[2],
        **(cuts or {}),
        "folds": found,
    }


def warm_and_cold(name: str, present: BoolArray, known: BoolArray) -> dict[str, int]:
    return {f"warm_{name}": int((present & known).sum()), f"cold_{name}": int((present & ~known).sum())}
