"""The native ALS engine: against plain numpy, its solvers against each other, and at its limits."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from reco_platform.core.errors import ConfigError, DataError
from reco_platform.models.als import native
from reco_platform.models.als.native import Factors, check_memory, memory_needed, train
from reco_platform.models.als.ratings import Ratings, ratings

Doubles = npt.NDArray[np.float64]

DEFAULTS: dict[str, Any] = {"rank": 7, "max_iter": 5, "reg_param": 0.1, "seed": 3, "threads": 2}


def random_ratings(users: int = 150, movies: int = 60, count: int = 4000, seed: int = 0) -> Ratings:
    """Ratings with three true directions and noise; popular movies have most of them; some pairs come twice."""
    rng = np.random.default_rng(seed)
    user, movie = rng.integers(0, users, count), (movies * rng.random(count) ** 2).astype(np.int64)
    left, right = rng.normal(size=(users, 3)), rng.normal(size=(movies, 3))
    value = 3.5 + 0.4 * (left[user] * right[movie]).sum(axis=1) + rng.normal(0, 0.3, count)
    return ratings(user.astype(np.int32), movie.astype(np.int32), value.astype(np.float32))


def with_long_rows() -> Ratings:
    """User 0 has 50,000 ratings and movie 0 more, so that both rows are split; 3,000 other users have a few."""
    rng = np.random.default_rng(5)
    user = np.concatenate([np.zeros(50_000), rng.integers(1, 3000, 12_000), np.arange(3000)])
    movie = np.concatenate([rng.integers(0, 400, 50_000), rng.integers(0, 400, 12_000), np.zeros(3000)])
    movie[:8000] = 0
    value = np.clip(np.round(rng.normal(3.5, 1, len(user)) * 2) / 2, 0.5, 5)
    return ratings(user.astype(np.int32), movie.astype(np.int32), value.astype(np.float32))


def triples(both: Ratings) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Doubles]:
    rows = both.by_user
    return np.repeat(rows.index, rows.counts), both.by_movie.index[rows.columns], rows.values.astype(np.float64)


def objective_of(both: Ratings, factors: Factors, reg_param: float) -> float:
    """The objective by its definition, in float64."""
    user, movie, value = triples(both)
    left = factors.users.astype(np.float64)[np.searchsorted(factors.user_index, user)]
    right = factors.movies.astype(np.float64)[np.searchsorted(factors.movie_index, movie)]
    # A row's penalty counts once for each of its ratings.
    return float(((value - (left * right).sum(axis=1)) ** 2 + reg_param * ((left**2 + right**2).sum(axis=1))).sum())


def exact_half_step(own: npt.NDArray[np.int32], fixed: Doubles, value: Doubles, reg_param: float) -> Doubles:
    """The minimum of each row, from its normal equations; `fixed` has the other side's factors for each rating."""
    solved = []
    for row in np.unique(own):
        mine = fixed[own == row]
        gram = mine.T @ mine + reg_param * len(mine) * np.eye(fixed.shape[1])
        solved.append(np.linalg.solve(gram, mine.T @ value[own == row]))
    return np.array(solved)


def plain_als(both: Ratings, rank: int, max_iter: int, reg_param: float, seed: int) -> tuple[Doubles, Doubles]:
    """ALS in float64 by numpy, from the engine's initial factors."""
    user, movie, value = triples(both)
    user_at, movie_at = (np.unique(index, return_inverse=True)[1] for index in (user, movie))
    users = native.by_rising_index(both.by_user, native.initial_factors(both.by_user, rank, (seed, 0)), rank).astype(
        np.float64
    )
    for _ in range(max_iter):
        movies = exact_half_step(movie, users[user_at], value, reg_param)
        users = exact_half_step(user, movies[movie_at], value, reg_param)
    return users, movies


def assert_equal(one: Factors, other: Factors) -> None:
    for name in ("user_index", "users", "movie_index", "movies", "objective"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


# --- compared with numpy


def test_cholesky_gives_the_factors_of_plain_als() -> None:
    both = random_ratings()
    users, movies = plain_als(both, rank=7, max_iter=5, reg_param=0.1, seed=3)
    found = train(both, **DEFAULTS, solver="cholesky")
    np.testing.assert_allclose(found.users, users, atol=1e-3)
    np.testing.assert_allclose(found.movies, movies, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["cg", "cholesky"])
@pytest.mark.parametrize("rank", [1, 7, 50, 130, 500])
def test_the_objective_is_that_of_its_definition(solver: native.Solver, rank: int) -> None:
    both = random_ratings()
    seen = []

    def check(iteration: int, objective: float, users: Any, movies: Any) -> None:
        state = Factors(np.sort(both.by_user.index), users, np.sort(both.by_movie.index), movies, np.empty(0))
        seen.append((iteration, objective, objective_of(both, state, 0.1)))

    found = train(both, **(DEFAULTS | {"rank": rank, "max_iter": 3}), solver=solver, callback=check)
    assert found.users.shape == (len(both.by_user), rank)
    assert [iteration for iteration, _, _ in seen] == [1, 2, 3]
    for _, objective, expected in seen:
        assert objective == pytest.approx(expected, rel=2e-6)
    assert found.objective.tolist() == [objective for _, objective, _ in seen]


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
@pytest.mark.parametrize("reg_param", [0.0, 0.001, 0.1, 10.0])
def test_the_objective_falls_with_every_iteration(solver: native.Solver, reg_param: float) -> None:
    found = train(random_ratings(), **(DEFAULTS | {"rank": 20, "max_iter": 15, "reg_param": reg_param}), solver=solver)
    assert (np.diff(found.objective) <= 1e-6 * found.objective[:-1]).all()
    assert found.objective[-1] < found.objective[0]


def test_conjugate_gradients_reach_the_objective_of_cholesky() -> None:
    both = random_ratings(count=6000)
    settings = DEFAULTS | {"max_iter": 12, "rank": 10}
    exact, near = train(both, **settings, solver="cholesky"), train(both, **settings, solver="cg")
    assert near.objective[-1] == pytest.approx(exact.objective[-1], rel=1e-4)
    difference = np.linalg.norm(near.users @ near.movies.T - exact.users @ exact.movies.T)
    assert difference < 0.01 * np.linalg.norm(exact.users @ exact.movies.T)


@pytest.mark.slow
def test_rows_with_many_ratings_are_solved_by_the_same_equations() -> None:
    both = with_long_rows()
    assert both.by_user.counts[0] >= 50_000 > native.MIN_PIECE < both.by_movie.counts[0]
    users, movies = plain_als(both, rank=5, max_iter=2, reg_param=0.1, seed=3)
    settings = DEFAULTS | {"rank": 5, "max_iter": 2}
    exact, near = train(both, **settings, solver="cholesky"), train(both, **settings, solver="cg")
    np.testing.assert_allclose(exact.users, users, atol=1e-3)
    np.testing.assert_allclose(exact.movies, movies, atol=1e-3)
    for found in (exact, near):
        assert found.objective[-1] == pytest.approx(objective_of(both, found, 0.1), rel=2e-6)
    assert near.objective[-1] == pytest.approx(exact.objective[-1], rel=1e-3)


# --- what never changes the result


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_any_number_of_threads_gives_the_same_bits(solver: native.Solver) -> None:
    both = with_long_rows()
    settings = DEFAULTS | {"rank": 20, "max_iter": 2}
    one = train(both, **(settings | {"threads": 1}), solver=solver)
    for threads in (2, 3, 7):
        assert_equal(one, train(both, **(settings | {"threads": threads}), solver=solver))


def test_the_seed_decides_the_initial_factors() -> None:
    both = random_ratings()
    first = train(both, **DEFAULTS)
    assert_equal(first, train(both, **DEFAULTS))
    assert not np.array_equal(first.users, train(both, **(DEFAULTS | {"seed": 4})).users)


@pytest.mark.slow
def test_cached_code_gives_the_same_bits_as_newly_compiled_code(tmp_path: Path) -> None:
    program = """
import hashlib, numpy as np
from reco_platform.models.als import kernel, native
from reco_platform.models.als.ratings import ratings
rng = np.random.default_rng(0)
both = ratings(*rng.integers(0, 50, (2, 900)).astype(np.int32), rng.random(900, np.float32))
for solver in ("cg", "cholesky"):
    found = native.train(both, rank=9, max_iter=4, reg_param=0.1, seed=1, threads=1, solver=solver)
    print(hashlib.sha256(found.users.tobytes() + found.objective.tobytes()).hexdigest())
print(sum(kernel.solve_rows.stats.cache_hits.values()))
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    compiled, read = (subprocess.check_output(command, env=environment, text=True).split() for _ in range(2))
    assert (compiled[-1], read[-1]) == ("0", "1")
    assert compiled[:2] == read[:2]


# --- unusual ratings


def test_only_users_and_movies_with_ratings_have_factors() -> None:
    user, movie, value = [0, 0, 2, 2, 9], [1, 4, 4, 1, 4], [4.0, 3.0, 5.0, 1.0, 2.0]
    found = train(ratings(np.array(user, np.int32), np.array(movie, np.int32), np.array(value, np.float32)), **DEFAULTS)
    assert found.user_index.tolist() == [0, 2, 9]
    assert found.movie_index.tolist() == [1, 4]
    assert found.users.shape == (3, 7)
    assert found.movies.shape == (2, 7)


def test_factors_are_in_the_order_of_their_indexes() -> None:
    both = random_ratings()
    found = train(both, **(DEFAULTS | {"rank": 20, "reg_param": 0.001, "max_iter": 20}))
    user, movie, value = triples(both)
    predicted = (found.users[user] * found.movies[movie]).sum(axis=1)
    assert np.corrcoef(predicted, value)[0, 1] > 0.9


def test_a_repeated_pair_counts_twice() -> None:
    user, movie, value = triples(random_ratings(count=500))
    twice = [np.concatenate([array, array]) for array in (user, movie)]
    both = ratings(*twice, np.concatenate([value, value]).astype(np.float32))
    once = train(ratings(user, movie, value.astype(np.float32)), **DEFAULTS, solver="cholesky")
    found = train(both, **DEFAULTS, solver="cholesky")
    np.testing.assert_allclose(found.users, once.users, atol=1e-3)
    assert found.objective[-1] == pytest.approx(2 * once.objective[-1], rel=1e-4)


def test_ratings_may_be_residuals_around_zero() -> None:
    user, movie, value = triples(random_ratings())
    residuals = ratings(user, movie, (value - 3.5).astype(np.float32))
    found = train(residuals, **(DEFAULTS | {"max_iter": 20}))
    assert found.objective[-1] < 0.9 * (residuals.by_user.values.astype(np.float64) ** 2).sum()


def test_ratings_that_are_all_zero_give_zero_factors() -> None:
    both = random_ratings(count=300)
    nothing = ratings(*triples(both)[:2], np.zeros(300, np.float32))
    for solver in ("cg", "cholesky"):
        found = train(nothing, **(DEFAULTS | {"max_iter": 3}), solver=solver)
        np.testing.assert_allclose(found.users, 0, atol=1e-6)


# --- stopping


def test_a_callback_that_returns_true_stops_training() -> None:
    found = train(random_ratings(), **DEFAULTS, callback=lambda iteration, *_: iteration == 2)
    assert len(found.objective) == 2
    assert_equal(found, train(random_ratings(), **(DEFAULTS | {"max_iter": 2})))


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_rating_that_is_not_finite_stops_training_and_is_named(solver: native.Solver, value: float) -> None:
    both = random_ratings()
    at = int(both.by_movie.starts[17])
    both.by_movie.values[at] = value
    with pytest.raises(DataError, match=f"iteration 1: .* movie index {both.by_movie.index[17]} are not finite"):
        train(both, **DEFAULTS, solver=solver)


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_a_rating_too_large_for_float32_sums_stops_training(solver: native.Solver) -> None:
    user, movie, value = triples(random_ratings())
    value[17] = 1e38
    with pytest.raises(DataError, match=r"iteration 1: .*not finite"):
        train(ratings(user, movie, value.astype(np.float32)), **DEFAULTS, solver=solver)


def test_rows_that_are_not_finite_are_counted() -> None:
    both = random_ratings()
    broken = replace(both, by_user=replace(both.by_user, values=np.full_like(both.by_user.values, np.nan)))
    with pytest.raises(DataError, match=r"user index 0, 1, 2, 3, 4 and 145 more are not finite"):
        train(broken, **DEFAULTS)


def test_training_that_does_not_fit_into_memory_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"rank 500 on 1,000,000,000,000 ratings .* needs 14,9\d\d\.\d GiB(.|\n)*rank"
    ):
        check_memory(10**12, 1_000_000, 1_000_000, 500, threads=2)
    check_memory(1000, 100, 100, 10, threads=2)


def test_the_memory_needed_counts_ratings_and_factors() -> None:
    assert memory_needed(20_000_000, 0, 0, 50, threads=1) - memory_needed(10_000_000, 0, 0, 50, threads=1) > 160_000_000
    assert memory_needed(0, 1000, 500, 50, threads=1) - memory_needed(0, 0, 0, 50, threads=1) == 1500 * 4 * (
        64 + 2 * 50
    )


@pytest.mark.parametrize("last", [1, 2, 3, 5])
def test_pieces_cover_each_row_once_wherever_a_piece_ends(last: int) -> None:
    user = np.concatenate([np.repeat(np.arange(4), 7), np.full(last, 4)]).astype(np.int32)
    both = ratings(user, np.arange(len(user), dtype=np.int32) % 7, np.ones(len(user), np.float32))
    for piece in range(1, len(user) + 1):
        spans = native.whole_rows(both.by_user, 0, piece)
        assert [row for first, end in spans for row in range(first, end)] == list(range(5))
        assert all(first < end for first, end in spans)
