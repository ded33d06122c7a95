"""Popularity baselines: counts, and lists from one order of movies for all users."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reco_platform.models import popularity
from reco_platform.models.als.model import Side
from reco_platform.models.topn.exact import Seen

DAY = 24 * 60 * 60 * 1_000_000


def seen_by(*movies: list[int]) -> Seen:
    bounds = np.cumsum([0, *map(len, movies)])
    return Seen(bounds.astype(np.int64), np.array([one for own in movies for one in own], np.int32))


def lists(order: Any, seen: Seen, k: int) -> Any:
    return popularity.first_unseen(np.array(order, np.int32), seen.bounds, seen.movies, k)


def test_popularity_counts_the_ratings_of_each_movie() -> None:
    assert popularity.popularity(np.array([2, 0, 2, 2], np.int32), 4).tolist() == [1, 0, 3, 0]


def test_recent_popularity_halves_with_each_half_life_before_the_latest_rating() -> None:
    moments, movies = np.array([100, 98, 96, 90]) * DAY, np.array([0, 1, 1, 2], np.int32)
    assert popularity.recent_popularity(movies, moments, 2, 4).tolist() == [1, 0.5 + 0.25, 2.0**-5, 0]
    assert popularity.recent_popularity(movies, moments, 1e9, 3) == pytest.approx([1, 2, 1])


def test_recent_popularity_is_the_same_in_any_order_of_the_ratings() -> None:
    rng = np.random.default_rng(3)
    movies, moments = rng.integers(0, 5, 10_000).astype(np.int32), rng.integers(0, 400 * DAY, 10_000)
    first = popularity.recent_popularity(movies, moments, 30, 5)
    for _ in range(5):
        order = rng.permutation(10_000)
        assert np.array_equal(popularity.recent_popularity(movies[order], moments[order], 30, 5), first)
    age = (moments.max() - moments) / DAY
    expected = [np.exp2(-age[movies == movie] / 30).sum() for movie in range(5)]
    np.testing.assert_allclose(first, expected, rtol=1e-5)


def test_equal_scores_are_ordered_by_the_next_score_and_then_by_position() -> None:
    first, second = np.array([1, 3, 3, 1, 3]), np.array([0.0, 0.5, 0.7, 0.0, 0.5])
    assert popularity.best_first(first).tolist() == [1, 2, 4, 0, 3]
    assert popularity.best_first(first, second).tolist() == [2, 1, 4, 0, 3]


def test_lists_leave_out_what_was_seen_and_end_with_minus_one() -> None:
    found = lists([3, 1, 0, 2], seen_by([], [3, 0], [2, 3, 1, 0], [1]), 3)
    assert found.tolist() == [[3, 1, 0], [1, 2, -1], [-1, -1, -1], [3, 0, 2]]
    assert found.dtype == np.int32


def test_an_order_may_omit_movies() -> None:
    assert lists([1, 0], seen_by([5, 0], [7]), 2).tolist() == [[1, -1], [1, 0]]


@pytest.mark.parametrize("k", [1, 10, 80])
def test_lists_equal_those_of_pure_python(k: int) -> None:
    rng = np.random.default_rng(1)
    own = [rng.permutation(60)[: rng.integers(0, 61)].tolist() for _ in range(200)]
    order, seen = rng.permutation(60).astype(np.int32), seen_by(*own)
    found = lists(order, seen, k)
    for user, movies in enumerate(own):
        unseen = [movie for movie in order.tolist() if movie not in movies][:k]
        assert found[user].tolist() == unseen + [-1] * (k - len(unseen))
    part = seen.part(slice(50, 90))
    assert np.array_equal(lists(order, part, k), found[50:90])


# --- lists for users without training ratings


def side(*ids: int) -> Side:
    return Side(np.array(ids, np.int32), np.zeros((len(ids), 1), np.float32))


def rows(*found: tuple[int, int, int]) -> pa.Table:
    """User, movie, and the day of the rating."""
    columns = [np.array(column) for column in zip(*found, strict=True)] if found else [np.empty(0, int)] * 3
    return pa.table(
        {
            "user_id": pa.array(columns[0], pa.int32()),
            "movie_id": pa.array(columns[1], pa.int32()),
            "rating_ts": pa.array(columns[2] * DAY, pa.int64()).cast(pa.timestamp("us", "UTC")),
        }
    )


def test_users_without_training_ratings_get_recently_popular_movies() -> None:
    # Recent: movie 30 twice, 20 and 40 once; long before, 20 once more, and 10 twice. Movie 99 is in no model.
    known = rows((1, 30, 100), (2, 30, 99), (1, 40, 98), (3, 20, 98), (3, 99, 97), (4, 20, 5), (2, 10, 4), (3, 10, 3))
    catalogue, strangers = side(10, 20, 30, 40), np.array([4, 7], np.int32)
    found = popularity.most_popular(catalogue, strangers, known, rows((4, 20, 5)), half_life=1, n=3)
    assert found.offsets.tolist() == [0, 3, 6]
    assert found.movie_ids.tolist() == [30, 40, 10, 30, 20, 40]
    assert found.scores.tolist() == [1.5, 0.25, 0, 1.5, 0.25, 0.25]
    assert found.scores.dtype == np.float32
    longer = popularity.most_popular(catalogue, strangers, known, rows((4, 20, 5)), half_life=1, n=9)
    assert longer.offsets.tolist() == [0, 3, 7]


def test_there_are_no_fallback_lists_if_the_model_knows_all_users() -> None:
    found = popularity.most_popular(
        side(10, 20), np.empty(0, np.int32), rows((1, 10, 1), (2, 20, 2)), rows(), half_life=1, n=5
    )
    assert found.offsets.tolist() == [0]
    assert len(found.movie_ids) == len(found.scores) == 0
