"""Fold-in: the factors of users whom a trained implicit ALS model does not know, from their own positives.

With the movies' factors fixed, a user's factors are the minimum of the user's own terms of the objective of
`als.native`: for positives r with weights c, their factors V, and the factors W of all I movies of the model, the
solution of

    (V'diag(c) V + a W'W + reg_param (n + a I) 1) x = V'diag(c) r

where 1 is the identity and n the number of positives (Rendle et al. 2021, Revisiting the Performance of iALS, section
3). It is solved exactly, in float64, so that it depends neither on initial factors nor on the training's solver.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from reco_platform.core.arrays import Float32Array, Float64Array, Int64Array, IntArray
from reco_platform.core.errors import DataError

TASK_USERS = 256


@dataclass(frozen=True)
class FixedMovies:
    """The movies of a trained model, prepared for any number of fold-ins.

    Attributes:
        factors: shape (movies, rank).
        base: a W'W + reg_param a I, the part of the equations that all users share, shape (rank, rank).
        reg_param: as in training.
    """

    factors: Float32Array
    base: Float64Array
    reg_param: float


@dataclass(frozen=True)
class UserPositives:
    """The positives of some users; those of user j are at bounds[j]:bounds[j + 1].

    Attributes:
        bounds: shape (users + 1,).
        movies: positions in the model, shape (positives,).
        values: what to predict, shape (positives,).
        weights: of the squared errors, shape (positives,).
    """

    bounds: Int64Array
    movies: IntArray
    values: Float64Array
    weights: Float64Array

    def __len__(self) -> int:
        return len(self.bounds) - 1


def fixed_movies(factors: Float32Array, *, reg_param: float, unobserved_weight: float) -> FixedMovies:
    """Prepares the movies of a model.

    Args:
        factors: shape (movies, rank).
        reg_param, unobserved_weight: those of the training; see `native.train`.
    """
    wide = factors.astype(np.float64)
    with threadpool_limits(1, user_api="blas"):
        base = unobserved_weight * (wide.T @ wide)
    base[np.diag_indices_from(base)] += reg_param * unobserved_weight * len(factors)
    return FixedMovies(factors, base, reg_param)


def user_positives(
    users: IntArray, movies: IntArray, values: Float32Array | None, weights: Float32Array | None, count: int
) -> UserPositives:
    """Groups positives by user.

    Args:
        users: the user of each positive, from 0 and below `count`, shape (positives,).
        movies: position of the movie in the model, shape (positives,).
        values, weights: as in `Positives`; None if all are 1.
        count: number of users; those without positives get factors of 0.
    """
    order = np.lexsort([movies, users])
    bounds = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=count))])
    columns = (np.ones(len(order)) if part is None else part[order].astype(np.float64) for part in (values, weights))
    return UserPositives(bounds, movies[order], *columns)


def fold_in(positives: UserPositives, movies: FixedMovies, threads: int) -> Float32Array:
    """The factors of each user, shape (users, rank).

    Args:
        positives: of the users.
        movies: of the model.
        threads: at least 1; never changes the result.

    Raises:
        DataError: if a user's equations have no unique solution, which a reg_param above 0 prevents.
    """
    found = np.zeros((len(positives), movies.factors.shape[1]), np.float32)

    def solve(first: int) -> None:
        for user in range(first, min(first + TASK_USERS, len(positives))):
            start, end = positives.bounds[user : user + 2]
            if start < end:
                found[user] = user_factors(positives, movies, slice(start, end))

    # BLAS is called from these threads; threads of its own would oversubscribe the cores.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(solve, range(0, len(positives), TASK_USERS)))
    return found


def user_factors(positives: UserPositives, movies: FixedMovies, own: slice) -> Float64Array:
    """The factors of one user, whose positives are `own`, shape (rank,)."""
    matrix, weighted = equations(movies, positives.movies[own], positives.weights[own])
    return solve(matrix, weighted.T @ positives.values[own])


def equations(movies: FixedMovies, own: IntArray, weights: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The equations of one user: their matrix, shape (rank, rank), and diag(c) V, shape (positives, rank).

    Args:
        movies: of the model.
        own: positions of the user's positives.
        weights: of their squared errors.
    """
    rated = movies.factors[own].astype(np.float64)
    weighted = rated * weights[:, None]
    matrix = movies.base + rated.T @ weighted
    matrix[np.diag_indices_from(matrix)] += movies.reg_param * len(rated)
    return matrix, weighted


def solve(matrix: Float64Array, right: Float64Array) -> Float64Array:
    """The solution of equations with a symmetric positive definite matrix, shape (rank,); the matrix is kept.

    Raises:
        DataError: if there is no unique finite solution.
    """
    _, solution, problem = lapack.dposv(matrix, right)
    if problem or not np.isfinite(solution).all():
        raise DataError(
            "the equations of a user's factors have no unique finite solution",
            "train with a larger reg_param or ranking_reg_param",
        )
    found: Float64Array = solution.reshape(-1)
    return found
