"""Baselines: what is popular, and lists of one order for everybody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reco_platform import baselines
from reco_platform.topn import Seen

DAY = 24 * 60 * 60 * 1_000_000


def seen_by(*movies: list[int]) -> Seen:
    bounds = np.cumsum([0, *map(len, movies)])
    return Seen(bounds.astype(np.int64), np.array([one for own in movies for one in own], np.int32))


def lists(order: Any, seen: Seen, k: int) -> Any:
    return baselines.first_unseen(np.array(order, np.int32), seen.bounds, seen.movies, k)


def test_popularity_counts_the_ratings_of_each_movie() -> None:
    assert baselines.popularity(np.array([2, 0, 2, 2], np.int32), 4).tolist() == [1, 0, 3, 0]


def test_recent_popularity_counts_back_from_the_latest_rating() -> None:
    moments = np.array([100, 98, 97, 90]) * DAY
    moments[1] += 1  # a microsecond less than two days before the latest
    movies = np.array([0, 1, 1, 2], np.int32)
    assert baselines.recent_popularity(movies, moments, 2, 3).tolist() == [1, 1, 0]
    assert baselines.recent_popularity(movies, moments, 11, 3).tolist() == [1, 2, 1]
    moments[1] -= 1
    assert baselines.recent_popularity(movies, moments, 2, 3).tolist() == [1, 0, 0]


def test_equal_scores_are_ordered_by_the_next_score_and_then_by_position() -> None:
    first, second = np.array([1, 3, 3, 1, 3]), np.array([0.0, 0.5, 0.7, 0.0, 0.5])
    assert baselines.best_first(first).tolist() == [1, 2, 4, 0, 3]
    assert baselines.best_first(first, second).tolist() == [2, 1, 4, 0, 3]


def test_lists_leave_out_what_was_seen_and_end_with_minus_one() -> None:
    found = lists([3, 1, 0, 2], seen_by([], [3, 0], [2, 3, 1, 0], [1]), 3)
    assert found.tolist() == [[3, 1, 0], [1, 2, -1], [-1, -1, -1], [3, 0, 2]]
    assert found.dtype == np.int32


def test_an_order_may_leave_movies_out() -> None:
    assert lists([1, 0], seen_by([5, 0], [7]), 2).tolist() == [[1, -1], [1, 0]]


@pytest.mark.parametrize("k", [1, 10, 80])
def test_lists_are_those_of_plain_python_for_any_part_of_the_users(k: int) -> None:
    rng = np.random.default_rng(1)
    own = [rng.permutation(60)[: rng.integers(0, 61)].tolist() for _ in range(200)]
    order, seen = rng.permutation(60).astype(np.int32), seen_by(*own)
    found = lists(order, seen, k)
    for user, movies in enumerate(own):
        unseen = [movie for movie in order.tolist() if movie not in movies][:k]
        assert found[user].tolist() == unseen + [-1] * (k - len(unseen))
    part = seen.part(slice(50, 90))
    assert np.array_equal(lists(order, part, k), found[50:90])
