"""From silver ratings to interactions: the latest rating of each pair, dense indexes, and a fold by time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[np.int64]
LARGEST_TABLE = 1 << 24  # ids up to this are numbered by a table, larger ones by sorting


@dataclass(frozen=True)
class TimeCuts:
    """Moments in microseconds since 1970: train holds rows up to `train`, validation up to `test`, test those after."""

    train: int
    test: int


def latest(ratings: pa.Table) -> pa.Table:
    """One row for each (user, movie): the latest rating. Sorted by user, then movie.

    Args:
        ratings: user_id int, movie_id int, rating float, rating_ts timestamp; no two rows alike in the first two and
            the last.
    """
    users = ratings["user_id"].to_numpy().astype(np.int64)
    movies = ratings["movie_id"].to_numpy().astype(np.int64)
    moments = microseconds(ratings["rating_ts"])
    pair = users << 32 | movies
    order = np.argsort(pair, kind="stable")
    if len(order) and (np.diff(pair[order]) == 0).any():
        order = np.lexsort((moments, pair))
    in_order = pair[order]
    last = np.append(in_order[1:] != in_order[:-1], True) if len(order) else np.zeros(0, bool)
    return ratings.take(pa.array(order[last]))


def microseconds(column: pa.ChunkedArray) -> Array:
    return column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()


def dense(ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Ids, none negative, numbered from 0 in their order, shape as given."""
    largest = int(ids.max(initial=0))
    if largest > max(LARGEST_TABLE, len(ids)):
        return np.unique(ids, return_inverse=True)[1].astype(np.int32)
    present = np.zeros(largest + 1, bool)
    present[ids] = True
    return (np.cumsum(present, dtype=np.int32) - 1)[ids]


def time_cuts(moments: Array, test_fraction: float, validation_fraction: float) -> TimeCuts:
    """Where the folds end when rows are counted off in order of time; rows of one moment stay on the earlier side.

    Args:
        moments: shape (rows,), microseconds.
        test_fraction: share of all rows, the latest, for the test fold.
        validation_fraction: share of the others, the latest, for the validation fold.
    """
    test = nth(moments, upto(len(moments), test_fraction))
    training = moments[moments <= test]
    return TimeCuts(train=nth(training, upto(len(training), validation_fraction)), test=test)


def nth(moments: Array, number: int) -> int:
    """The moment at a place in the order of time, counted from 1."""
    return int(np.partition(moments, number - 1)[number - 1])


def upto(rows: int, last_fraction: float) -> int:
    """How many of `rows` come before the last fraction; at least one."""
    return max(1, math.floor(rows * (1 - last_fraction) + 1e-9))


def folds(moments: Array, cuts: TimeCuts) -> pa.Array:
    """The fold of each row, shape (rows,), as text."""
    number = (moments > cuts.train).astype(np.int8) + (moments > cuts.test)
    return pa.DictionaryArray.from_arrays(number, ["train", "validation", "test"]).cast(pa.string())


def timestamp(moment: int) -> str:
    """A moment in microseconds as text in UTC."""
    return str(np.datetime64(moment, "us")) + "Z"
