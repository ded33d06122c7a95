"""The native engine's ratings as two sparse matrices, by user and by movie."""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from reco_platform.core.arrays import Float32Array, Int32Array, Int64Array
from reco_platform.core.errors import DataError

BYTES_PER_RATING = 16
"""Memory of one rating in `Ratings`: a column and a value in both matrices."""


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix by rows (CSR); rows with the most ratings come first, and columns rise within a row.

    So the factors that are read most often are adjacent in memory.

    Attributes:
        index: dense index of each row, shape (rows,). Every row has a rating.
        starts: position of each row's first rating, and the end of the last row, shape (rows + 1,).
        columns: row number of each rating on the other side, shape (ratings,).
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
    """The same ratings by user and by movie. A column of one matrix is a row of the other."""

    by_user: SparseRows
    by_movie: SparseRows

    def __len__(self) -> int:
        return len(self.by_user.values)


def ratings(user_index: Int32Array, movie_index: Int32Array, values: Float32Array) -> Ratings:
    """Builds both matrices by counting sorts, in time and memory linear in the ratings.

    The result does not depend on the order of the input, except for several ratings of the same user and movie, which
    are all kept. Users and movies without ratings get no row.

    Args:
        user_index: dense index of each rating's user, shape (ratings,).
        movie_index: dense index of each rating's movie, shape (ratings,).
        values: the values to predict, shape (ratings,).

    Raises:
        DataError: if there are no ratings, the arrays differ in length, or an index is negative.
    """
    lengths = {len(user_index), len(movie_index), len(values)}
    if lengths == {0}:
        raise DataError(
            "there are no ratings to train on", "see the quality report of silver ratings for rejected rows"
        )
    if len(lengths) > 1:
        raise DataError(
            f"user_index, movie_index and values differ in length: {len(user_index)}, {len(movie_index)}, {len(values)}"
        )
    if user_index.min() < 0 or movie_index.min() < 0:
        raise DataError("a user or movie index is negative; dense indexes start at 0")
    user_rows, user_row, user_starts = _by_count(user_index)
    movie_rows, movie_row, movie_starts = _by_count(movie_index)
    columns, cells = np.empty(len(values), np.int32), np.empty(len(values), np.float32)
    _scatter(user_index, movie_index, values, user_row, movie_row, user_starts[:-1].copy(), columns, cells)
    by_user = SparseRows(user_rows, user_starts, columns, cells)
    by_movie = SparseRows(movie_rows, movie_starts, np.empty_like(columns), np.empty_like(cells))
    _transpose(
        by_user.starts, by_user.columns, by_user.values, movie_starts[:-1].copy(), by_movie.columns, by_movie.values
    )
    # Transposing back sorts the columns of by_user too.
    _transpose(
        by_movie.starts, by_movie.columns, by_movie.values, user_starts[:-1].copy(), by_user.columns, by_user.values
    )
    return Ratings(by_user, by_movie)


def _by_count(index: Int32Array) -> tuple[Int32Array, Int32Array, Int64Array]:
    """The indexes with ratings by falling count, the row of each index, and the start of each row."""
    counts = np.bincount(index)
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    row = np.empty_like(order)
    row[order] = np.arange(len(order), dtype=np.int32)
    order = order[: np.count_nonzero(counts)]
    return order, row, np.concatenate([[0], np.cumsum(counts[order])])


@njit(cache=True, nogil=True)
def _scatter(
    user_index: Any,
    movie_index: Any,
    values: Any,
    user_row: Any,
    movie_row: Any,
    next_cell: Any,
    columns: Any,
    cells: Any,
) -> None:
    for rating in range(len(values)):
        row = user_row[user_index[rating]]
        cell = next_cell[row]
        next_cell[row] = cell + 1
        columns[cell] = movie_row[movie_index[rating]]
        cells[cell] = values[rating]


@njit(cache=True, nogil=True)
def _transpose(starts: Any, columns: Any, cells: Any, next_cell: Any, new_columns: Any, new_cells: Any) -> None:
    for row in range(len(starts) - 1):
        for rating in range(starts[row], starts[row + 1]):
            column = columns[rating]
            cell = next_cell[column]
            next_cell[column] = cell + 1
            new_columns[cell] = row
            new_cells[cell] = cells[rating]
