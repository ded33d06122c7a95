"""The native ALS engine with unobserved pairs and weights: against its definition, plain numpy, and at its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from reco_platform.core.errors import DataError
from reco_platform.models.als import native
from reco_platform.models.als.native import Factors, train
from reco_platform.models.als.ratings import Ratings, ratings

Doubles = npt.NDArray[np.float64]

UNOBSERVED, REG = 0.3, 0.02
DEFAULTS: dict[str, Any] = {
    "rank": 7, "max_iter": 6, "reg_param": REG, "seed": 3, "threads": 2, "unobserved_weight": UNOBSERVED,
}  # fmt: skip
FORMS = ("ones", "values", "weights", "values and weights")


def positives(form: str, users: int = 150, movies: int = 60, count: int = 3000, seed: int = 0) -> Ratings:
    """Distinct pairs, popular movies more often; the first user has most movies."""
    rng = np.random.default_rng(seed)
    pairs = np.stack([rng.integers(0, users, count), (movies * rng.random(count) ** 2).astype(np.int64)])
    pairs = np.unique(np.hstack([pairs, [np.zeros(50, np.int64), np.arange(50)]]), axis=1).astype(np.int32)
    value = rng.choice([0.25, 0.5, 1.0], pairs.shape[1]).astype(np.float32) if "values" in form else None
    weight = rng.uniform(0.1, 3, pairs.shape[1]).astype(np.float32) if "weights" in form else None
    return ratings(pairs[0], pairs[1], value, weight)


def dense(both: Ratings) -> tuple[Doubles, Doubles]:
    """Values and weights of every pair, by rising index, shape (users, movies)."""
    rows, one = both.by_user, np.ones(len(both))
    scale = rows.scales.astype(np.float64) if len(rows.scales) else one
    value = rows.values / scale if len(rows.values) else one
    place = np.argsort(np.argsort(rows.index)), np.argsort(np.argsort(both.by_movie.index))
    cells = np.repeat(place[0], rows.counts), place[1][rows.columns]
    values, weights = np.zeros((len(rows), len(both.by_movie))), np.zeros((len(rows), len(both.by_movie)))
    values[cells], weights[cells] = value, scale**2
    return values, weights


def objective_of(both: Ratings, factors: Factors) -> float:
    """The objective by its definition, in float64, over every pair."""
    values, weights = dense(both)
    users, movies = factors.users.astype(np.float64), factors.movies.astype(np.float64)
    predicted, observed = users @ movies.T, weights > 0
    errors = (weights * (values - predicted) ** 2).sum() + UNOBSERVED * (predicted**2).sum()
    user_penalty = (observed.sum(axis=1) + UNOBSERVED * len(movies)) @ (users**2).sum(axis=1)
    movie_penalty = (observed.sum(axis=0) + UNOBSERVED * len(users)) @ (movies**2).sum(axis=1)
    return float(errors + REG * (user_penalty + movie_penalty))


def exact_side(values: Doubles, weights: Doubles, fixed: Doubles) -> Doubles:
    """The minimum of each row of `values`, from its normal equations over all pairs."""
    solved = []
    for value, weight in zip(values, weights, strict=True):
        penalty = REG * ((weight > 0).sum() + UNOBSERVED * len(fixed))
        matrix = (fixed * (weight + UNOBSERVED)[:, None]).T @ fixed + penalty * np.eye(fixed.shape[1])
        solved.append(np.linalg.solve(matrix, fixed.T @ (weight * value)))
    return np.array(solved)


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
@pytest.mark.parametrize("form", FORMS)
def test_the_objective_is_that_of_its_definition_and_falls(form: str, solver: native.Solver) -> None:
    both = positives(form)
    seen = []

    def check(iteration: int, objective: float, users: Any, movies: Any) -> None:
        state = Factors(np.sort(both.by_user.index), users, np.sort(both.by_movie.index), movies, np.empty(0))
        seen.append((objective, objective_of(both, state)))

    found = train(both, **DEFAULTS, solver=solver, callback=check)
    ours, expected = np.array(seen).T
    np.testing.assert_allclose(ours, expected, rtol=2e-6)
    assert (np.diff(ours) < 0).all()
    assert np.array_equal(found.objective, ours)


@pytest.mark.parametrize("form", FORMS)
def test_the_factors_are_those_of_plain_numpy(form: str) -> None:
    both = positives(form)
    values, weights = dense(both)
    first = native.initial_factors(both.by_user, 7, (3, 0), native.IMPLICIT_LENGTH)
    users = native.by_rising_index(both.by_user, first, 7).astype(np.float64)
    for _ in range(6):
        movies = exact_side(values.T, weights.T, users)
        users = exact_side(values, weights, movies)
    exact = train(both, **DEFAULTS, solver="cholesky")
    np.testing.assert_allclose(exact.users, users, atol=2e-4)
    np.testing.assert_allclose(exact.movies, movies, atol=2e-4)
    longer = DEFAULTS | {"max_iter": 40}
    np.testing.assert_allclose(
        train(both, **longer).objective[-1], train(both, **longer, solver="cholesky").objective[-1], rtol=1e-3
    )


def test_weights_of_one_and_values_of_one_are_as_if_not_given() -> None:
    pairs = positives("ones")
    user = np.repeat(pairs.by_user.index, pairs.by_user.counts)
    movie, one = pairs.by_movie.index[pairs.by_user.columns], np.ones(len(pairs), np.float32)
    plain = train(pairs, **DEFAULTS)
    for both in (ratings(user, movie, one), ratings(user, movie, None, one), ratings(user, movie, one, one)):
        np.testing.assert_allclose(train(both, **DEFAULTS).objective, plain.objective, rtol=1e-6)
    assert (pairs.bytes_per_rating, ratings(user, movie, one, one).bytes_per_rating) == (8, 24)


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_the_number_of_threads_changes_no_bit_even_if_rows_are_split(
    solver: native.Solver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "MIN_PIECE", 16)
    monkeypatch.setattr(native, "BASE_ROWS", 32)
    both = positives("values and weights")
    one, three = (train(both, **(DEFAULTS | {"threads": threads}), solver=solver) for threads in (1, 3))
    assert np.array_equal(one.users, three.users)
    assert np.array_equal(one.objective, three.objective)
    state = Factors(one.user_index, one.users, one.movie_index, one.movies, one.objective)
    np.testing.assert_allclose(one.objective[-1], objective_of(both, state), rtol=2e-6)


@pytest.mark.parametrize("weight", [-1.0, 0.0, np.nan, np.inf])
def test_weights_that_are_not_positive_numbers_are_refused(weight: float) -> None:
    index = np.zeros(1, np.int32)
    with pytest.raises(DataError, match="weight"):
        ratings(index, index, None, np.array([weight], np.float32))


def test_huge_weights_and_a_rank_above_the_catalogue_give_finite_factors() -> None:
    index = np.arange(3, dtype=np.int32)
    both = ratings(index, index, None, np.full(3, 1e12, np.float32))
    found = train(both, **(DEFAULTS | {"rank": 40}))
    assert np.isfinite(found.users).all()
    assert np.isfinite(found.objective).all()


def test_one_user_and_one_movie_are_enough() -> None:
    index = np.zeros(1, np.int32)
    found = train(ratings(index, index, None), **DEFAULTS)
    assert 0 < float((found.users @ found.movies.T).item()) < 1


def test_a_regularisation_that_leaves_nothing_to_learn_gives_factors_near_zero() -> None:
    """Rows whose values are all 0 shrink in each iteration, down to numbers that have lost their digits."""
    index = np.arange(40, dtype=np.int32)
    pairs = [np.repeat(index, 10), np.tile(index[:10], 40)]
    values = np.zeros(400, np.float32)
    values[::7] = 1
    for count in (0, 1):
        values[: 40 * count] = 0
        found = train(ratings(*pairs, values), **(DEFAULTS | {"reg_param": 5.0, "max_iter": 100}))
        assert np.abs(found.users).max() < 1e-3
