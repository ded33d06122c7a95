"""The ratings that the native engine trains on: once by user and once by movie, in compressed sparse rows."""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from reco_platform.core.arrays import Float32Array, Int32Array, Int64Array
from reco_platform.core.errors import DataError

BYTES_PER_RATING = 16
"""What `Ratings` holds of one rating: a column and a value, in both orders."""


@dataclass(frozen=True)
class Rows:
    """A sparse matrix by rows, those with the most ratings first; each row's columns rise.

    Busy rows stand together, so that the factors which are read most often share the cache.

    Attributes:
        index: the dense index of each row, shape (rows,). Every row has a rating.
        starts: where each row begins, and the end of the last, shape (rows + 1,).
        columns: the other side's row of each rating, shape (ratings,).
        values: shape (ratings,).
    """

    index: Int32Array
    starts: Int64Array
    columns: Int32Array
    values: Float32Array

    def __len__(self) -> int:
        return len(self.index)

    @property
    def counts(self) -> Int64Array:
        """The number of ratings of each row, shape (rows,)."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class Ratings:
    """The same ratings by user and by movie. A column of one side is a row of the other."""

    by_user: Rows
    by_movie: Rows

    def __len__(self) -> int:
        return len(self.by_user.values)


def ratings(user_index: Int32Array, movie_index: Int32Array, values: Float32Array) -> Ratings:
    """Both orders of ratings, by counting sorts: time and memory grow with the ratings alone.

    The result does not depend on the order of the input, but for the order of the values of one pair. A pair may
    come more than once; each of its rows counts. Users and movies without ratings get no row.

    Args:
        user_index: dense numbers of the users, shape (ratings,).
        movie_index: dense numbers of the movies, shape (ratings,).
        values: what is to be predicted, shape (ratings,).

    Raises:
        DataError: if there are no ratings, the arrays differ in length, or an index is negative.
    """
    lengths = {len(user_index), len(movie_index), len(values)}
    if lengths == {0}:
        raise DataError("there are no ratings to train on", "see the report of silver ratings for what was rejected")
    if len(lengths) > 1:
        raise DataError(
            f"users, movies and ratings differ in number: {len(user_index)}, {len(movie_index)}, {len(values)}"
        )
    if user_index.min() < 0 or movie_index.min() < 0:
        raise DataError("a user or movie index is negative; dense indexes count from 0")
    user_rows, user_row, user_starts = _by_count(user_index)
    movie_rows, movie_row, movie_starts = _by_count(movie_index)
    columns, cells = np.empty(len(values), np.int32), np.empty(len(values), np.float32)
    _scatter(user_index, movie_index, values, user_row, movie_row, user_starts[:-1].copy(), columns, cells)
    by_user = Rows(user_rows, user_starts, columns, cells)
    by_movie = Rows(movie_rows, movie_starts, np.empty_like(columns), np.empty_like(cells))
    _transpose(
        by_user.starts, by_user.columns, by_user.values, movie_starts[:-1].copy(), by_movie.columns, by_movie.values
    )
    # Going back puts the columns of by_user in order too.
    _transpose(
        by_movie.starts, by_movie.columns, by_movie.values, user_starts[:-1].copy(), by_user.columns, by_user.values
    )
    return Ratings(by_user, by_movie)


def _by_count(index: Int32Array) -> tuple[Int32Array, Int32Array, Int64Array]:
    """The indexes with ratings by falling count, the row of each index, and where the rows start."""
    counts = np.bincount(index)
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    row = np.empty_like(order)
    row[order] = np.arange(len(order), dtype=np.int32)
    order = order[: np.count_nonzero(counts)]
    return order, row, np.concatenate([[0], np.cumsum(counts[order])])


@njit(cache=True, nogil=True)
def _scatter(
    user_index: Any, movie_index: Any, values: Any, user_row: Any, movie_row: Any, place: Any, columns: Any, cells: Any
) -> None:
    for rating in range(len(values)):
        row = user_row[user_index[rating]]
        at = place[row]
        place[row] = at + 1
        columns[at] = movie_row[movie_index[rating]]
        cells[at] = values[rating]


@njit(cache=True, nogil=True)
def _transpose(starts: Any, columns: Any, cells: Any, place: Any, new_columns: Any, new_cells: Any) -> None:
    for row in range(len(starts) - 1):
        for rating in range(starts[row], starts[row + 1]):
            column = columns[rating]
            at = place[column]
            place[column] = at + 1
            new_columns[at] = row
            new_cells[at] = cells[rating]
