"""The ratings as sparse matrices by user and by movie, compared with numpy's sorting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from reco_platform.core.errors import DataError
from reco_platform.models.als.ratings import Ratings, SparseRows, ratings

Triples = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]


def triples(count: int = 5000, users: int = 200, movies: int = 90, seed: int = 0) -> Triples:
    """Ratings in random order, with repeated pairs and indexes without ratings."""
    rng = np.random.default_rng(seed)
    user = np.minimum(rng.geometric(0.03, count), users - 1).astype(np.int32)
    movie = (movies * rng.random(count) ** 2).astype(np.int32)
    return user, movie, rng.random(count, np.float32)


def unrolled(rows: SparseRows, columns: SparseRows) -> npt.NDArray[np.float64]:
    """(row's index, column's index, value) of every rating, sorted."""
    own = np.repeat(rows.index, rows.counts)
    every = np.column_stack([own, columns.index[rows.columns], rows.values])
    return every[np.lexsort(every.T[::-1])]


def assert_same(one: Ratings, other: Ratings) -> None:
    for left, right in ((one.by_user, other.by_user), (one.by_movie, other.by_movie)):
        for name in ("index", "starts", "columns", "values"):
            assert np.array_equal(getattr(left, name), getattr(right, name)), name


def test_both_matrices_have_every_rating() -> None:
    user, movie, value = triples()
    both = ratings(user, movie, value)
    by_user = np.column_stack([user, movie, value]).astype(np.float64)
    by_movie = by_user[:, [1, 0, 2]]
    assert np.array_equal(unrolled(both.by_user, both.by_movie), by_user[np.lexsort(by_user.T[::-1])])
    assert np.array_equal(unrolled(both.by_movie, both.by_user), by_movie[np.lexsort(by_movie.T[::-1])])


def test_rows_with_most_ratings_come_first_and_columns_rise() -> None:
    both = ratings(*triples())
    for rows in (both.by_user, both.by_movie):
        assert (np.diff(rows.counts) <= 0).all()
        for start, end in zip(rows.starts[:-1], rows.starts[1:], strict=True):
            assert (np.diff(rows.columns[start:end]) >= 0).all()


def test_users_and_movies_without_ratings_have_no_row() -> None:
    user, movie, value = triples()
    both = ratings(user, movie, value)
    assert np.array_equal(np.sort(both.by_user.index), np.unique(user))
    assert np.array_equal(np.sort(both.by_movie.index), np.unique(movie))
    assert both.by_user.counts.min() > 0 < both.by_movie.counts.min()


def test_the_order_of_the_input_changes_nothing() -> None:
    user, movie, _ = triples()
    pairs = np.unique(np.column_stack([user, movie]), axis=0)
    value = np.arange(len(pairs), dtype=np.float32)
    shuffled = np.random.default_rng(1).permutation(len(pairs))
    one = ratings(pairs[:, 0], pairs[:, 1], value)
    assert_same(one, ratings(pairs[shuffled, 0], pairs[shuffled, 1], value[shuffled]))


def test_a_rating_takes_sixteen_bytes() -> None:
    both = ratings(*triples())
    in_use = sum(array.nbytes for rows in (both.by_user, both.by_movie) for array in (rows.columns, rows.values))
    assert in_use == both.bytes_per_rating * len(both)


@pytest.mark.parametrize(
    ("user", "movie", "value", "message"),
    [
        ([], [], [], "no ratings to train on"),
        ([0, 1], [0], [1.0], "differ in length: user_index 2, movie_index 1, values 1"),
        ([0, -1], [0, 0], [1.0, 2.0], "negative"),
        ([0, 1], [-2, 0], [1.0, 2.0], "negative"),
    ],
)
def test_invalid_ratings_are_refused(user: list[int], movie: list[int], value: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ratings(np.array(user, np.int32), np.array(movie, np.int32), np.array(value, np.float32))
