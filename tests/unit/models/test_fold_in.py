"""Fold-in: against the normal equations over every movie, against training, and at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from reco_platform.core.errors import DataError
from reco_platform.models.als import native
from reco_platform.models.als.ratings import ratings
from reco_platform.models.ranking.fold_in import fixed_movies, fold_in, user_positives

UNOBSERVED, REG = 0.3, 0.02
USERS, MOVIES, RANK = 40, 30, 5


def pairs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs of user and movie, in no order; the last user has none."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation((USERS - 1) * MOVIES)[:300].astype(np.int32)
    return chosen // MOVIES, chosen % MOVIES


def movie_factors(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((MOVIES, RANK)).astype(np.float32)


@pytest.mark.parametrize("form", ["ones", "values", "weights", "values and weights"])
def test_factors_solve_the_normal_equations_over_every_movie(form):
    users, movies = pairs()
    rng = np.random.default_rng(2)
    values = rng.uniform(0, 1, len(users)).astype(np.float32) if "values" in form else None
    weights = rng.uniform(0.1, 3, len(users)).astype(np.float32) if "weights" in form else None
    factors = movie_factors()
    fixed = fixed_movies(factors, reg_param=REG, unobserved_weight=UNOBSERVED)
    found = fold_in(user_positives(users, movies, values, weights, USERS), fixed, threads=2)
    value, weight = np.zeros((2, USERS, MOVIES))
    value[users, movies] = 1 if values is None else values
    weight[users, movies] = 1 if weights is None else weights
    wide = factors.astype(np.float64)
    for user in range(USERS):
        penalty = REG * (np.count_nonzero(weight[user]) + UNOBSERVED * MOVIES)
        matrix = wide.T @ np.diag(weight[user] + UNOBSERVED) @ wide + penalty * np.eye(RANK)
        expected = np.linalg.solve(matrix, wide.T @ (weight[user] * value[user]))
        np.testing.assert_allclose(found[user], expected, rtol=1e-5, atol=1e-7)


def test_users_of_the_training_get_the_factors_that_training_gave_them():
    users, movies = pairs()
    both = ratings(users, movies, None)
    trained = native.train(
        both, rank=RANK, max_iter=5, reg_param=REG, seed=1, threads=1, solver="cholesky", unobserved_weight=UNOBSERVED
    )
    fixed = fixed_movies(trained.movies, reg_param=REG, unobserved_weight=UNOBSERVED)
    position = np.searchsorted(trained.movie_index, movies)
    found = fold_in(user_positives(users, position, None, None, USERS), fixed, threads=1)
    np.testing.assert_allclose(found[trained.user_index], trained.users, rtol=1e-3, atol=1e-5)


def test_neither_threads_nor_the_order_of_positives_change_a_bit():
    users, movies = pairs()
    fixed = fixed_movies(movie_factors(), reg_param=REG, unobserved_weight=UNOBSERVED)
    one = fold_in(user_positives(users, movies, None, None, USERS), fixed, threads=1)
    three = fold_in(user_positives(users[::-1], movies[::-1], None, None, USERS), fixed, threads=3)
    assert one.tobytes() == three.tobytes()


def test_a_user_without_positives_has_factors_of_zero():
    users, movies = pairs()
    fixed = fixed_movies(movie_factors(), reg_param=REG, unobserved_weight=UNOBSERVED)
    found = fold_in(user_positives(users, movies, None, None, USERS), fixed, threads=1)
    assert not found[USERS - 1].any() and found[: USERS - 1].any()


def test_equations_without_a_unique_solution_are_an_error():
    fixed = fixed_movies(np.zeros((MOVIES, RANK), np.float32), reg_param=0.0, unobserved_weight=UNOBSERVED)
    with pytest.raises(DataError, match="no unique finite solution"):
        fold_in(user_positives(*pairs(), None, None, USERS), fixed, threads=1)
