"""The native engine's ratings as two sparse matrices, by user and by movie."""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from reco_platform.core.arrays import Float32Array, Int32Array, Int64Array
from reco_platform.core.errors import DataError

BYTES_PER_COLUMN = 8
"""Memory of one rating's columns in `Ratings`, in both matrices; each of its values and scales takes as much again."""


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix by rows (CSR); rows with the most ratings come first, and columns rise within a row.

    So the factors that are read most often are adjacent in memory.

    Attributes:
        index: dense index of each row, shape (rows,). Every row has a rating.
        starts: position of each row's first rating, and the end of the last row, shape (rows + 1,).
        columns: row number of each rating on the other side, shape (ratings,).
        values: what to predict, times the scales, shape (ratings,); empty if all are 1.
        scales: square roots of the weights, shape (ratings,); empty if all are 1.
    """

    index: Int32Array
    starts: Int64Array
    columns: Int32Array
    values: Float32Array
    scales: Float32Array

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
        return len(self.by_user.columns)

    @property
    def bytes_per_rating(self) -> int:
        """Memory of one rating."""
        parts = (self.by_user.columns, self.by_user.values, self.by_user.scales)
        return BYTES_PER_COLUMN * sum(len(part) > 0 for part in parts)


def ratings(
    user_index: Int32Array,
    movie_index: Int32Array,
    values: Float32Array | None,
    weights: Float32Array | None = None,
) -> Ratings:
    """Builds both matrices by counting sorts, in time and memory linear in the ratings.

    The result does not depend on the order of the input, except for several ratings of the same user and movie, which
    are all kept. Users and movies without ratings get no row.

    Args:
        user_index: dense index of each rating's user, shape (ratings,).
        movie_index: dense index of each rating's movie, shape (ratings,).
        values: the values to predict, shape (ratings,); None if all are 1.
        weights: of the squared errors, above 0, shape (ratings,); None if all are 1.

    Raises:
        DataError: if there are no ratings, the arrays differ in length, an index is negative, or a weight is not a
            finite number above 0.
    """
    given = {"user_index": user_index, "movie_index": movie_index, "values": values, "weights": weights}
    lengths = {name: len(array) for name, array in given.items() if array is not None}
    if set(lengths.values()) == {0}:
        raise DataError(
            "there are no ratings to train on", "see the quality report of silver ratings for rejected rows"
        )
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(f"the arrays of ratings differ in length: {found}")
    if user_index.min() < 0 or movie_index.min() < 0:
        raise DataError("a user or movie index is negative; dense indexes start at 0")
    if weights is not None and not (np.isfinite(weights) & (weights > 0)).all():
        raise DataError("a weight of a rating is not a finite number above 0")
    scales = None if weights is None else np.sqrt(weights).astype(np.float32)
    if scales is not None:
        values = scales if values is None else (values * scales).astype(np.float32)
    users, movies = _by_count(user_index), _by_count(movie_index)
    empty = np.empty(0, np.float32)
    columns, cells = _both_orders(user_index, movie_index, empty if values is None else values, users, movies)
    scale_cells = (empty, empty)
    if scales is not None:
        _, scale_cells = _both_orders(user_index, movie_index, scales, users, movies)
    by_user, by_movie = (
        SparseRows(rows.order, rows.starts, columns[side], cells[side], scale_cells[side])
        for side, rows in enumerate((users, movies))
    )
    return Ratings(by_user, by_movie)


class _Order(NamedTuple):
    """The rows of one side by falling count.

    Attributes:
        order: dense index of each row.
        row: row of each dense index.
        starts: position of each row's first rating, and the end of the last row.
    """

    order: Int32Array
    row: Int32Array
    starts: Int64Array


def _both_orders(
    user_index: Int32Array, movie_index: Int32Array, values: Float32Array, users: _Order, movies: _Order
) -> tuple[tuple[Int32Array, Int32Array], tuple[Float32Array, Float32Array]]:
    """The columns and the values of the ratings, each by user and by movie; `values` may be empty."""
    columns, cells = np.empty(len(user_index), np.int32), np.empty(len(values), np.float32)
    _scatter(user_index, movie_index, values, users.row, movies.row, users.starts[:-1].copy(), columns, cells)
    movie_columns, movie_cells = np.empty_like(columns), np.empty_like(cells)
    _transpose(users.starts, columns, cells, movies.starts[:-1].copy(), movie_columns, movie_cells)
    # Transposing back sorts the columns of the users too.
    _transpose(movies.starts, movie_columns, movie_cells, users.starts[:-1].copy(), columns, cells)
    return (columns, movie_columns), (cells, movie_cells)


def _by_count(index: Int32Array) -> _Order:
    counts = np.bincount(index)
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    row = np.empty_like(order)
    row[order] = np.arange(len(order), dtype=np.int32)
    order = order[: np.count_nonzero(counts)]
    return _Order(order, row, np.concatenate([[0], np.cumsum(counts[order])]))


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
    for rating in range(len(user_index)):
        row = user_row[user_index[rating]]
        cell = next_cell[row]
        next_cell[row] = cell + 1
        columns[cell] = movie_row[movie_index[rating]]
        if len(values):
            cells[cell] = values[rating]


@njit(cache=True, nogil=True)
def _transpose(starts: Any, columns: Any, cells: Any, next_cell: Any, new_columns: Any, new_cells: Any) -> None:
    for row in range(len(starts) - 1):
        for rating in range(starts[row], starts[row + 1]):
            column = columns[rating]
            cell = next_cell[column]
            next_cell[column] = cell + 1
            new_columns[cell] = row
            if len(cells):
                new_cells[cell] = cells[rating]
