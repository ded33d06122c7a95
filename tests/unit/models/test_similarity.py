"""Likeness of movies against loops."""

from __future__ import annotations

import numpy as np

from reco_platform.models import similarity


def test_cosines_shrink_where_few_ratings_stand_behind_a_movie() -> None:
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((9, 3)).astype(np.float32)
    factors[4] = 0
    counts = rng.integers(0, 50, 9)
    found = similarity.by_factors(factors, 2, counts, 10)
    for movie in range(9):
        norms = np.linalg.norm(factors[movie]) * np.linalg.norm(factors[2])
        cosine = float(factors[movie] @ factors[2]) / norms if norms else 0.0
        np.testing.assert_allclose(found[movie], cosine * counts[movie] / (counts[movie] + 10), atol=1e-6)


def test_without_shrinking_a_movie_without_ratings_is_like_none() -> None:
    assert similarity.by_factors(np.ones((2, 2), np.float32), 0, np.array([1, 0]), 0).tolist() == [1, 0]


def test_weights_count_in_both_directions() -> None:
    weights = np.arange(9, dtype=np.float32).reshape(3, 3)
    assert similarity.by_weights(weights, 1).tolist() == [3 + 1, 8, 5 + 7]


def test_the_nearest_are_above_0_and_the_first_of_equals() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.0, -1, 0.5, 2], np.float32)
    left_out = np.array([6])
    assert similarity.nearest(scores, 3, left_out).tolist() == [1, 0, 2]
    assert similarity.nearest(scores, 10, left_out).tolist() == [1, 0, 2, 5]
    assert similarity.nearest(np.zeros(3, np.float32), 2, left_out[:0]).tolist() == []
