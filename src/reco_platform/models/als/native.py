"""Alternating least squares in threads of this process: the objective of Spark ML's ALS, without Spark.

The objective is that of ALS-WR (Zhou et al. 2008, section 3.1), with n_u and n_i the numbers of ratings:

    sum (r - u'v)^2 + reg_param (sum n_u |u|^2 + sum n_i |v|^2)

As in Spark, factors start as random directions of length one, and each iteration solves the movies' factors from the
users', then the users' from the movies'. The work is cut by numbers of ratings alone, never by the number of threads,
and sums are taken in the order of the pieces: the result is the same to the last bit for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import psutil  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits

from reco_platform.core.arrays import Float32Array, Float64Array, Int32Array
from reco_platform.core.errors import ConfigError, DataError
from reco_platform.models.als import kernel
from reco_platform.models.als.ratings import BYTES_PER_RATING, Ratings, Rows

Callback = Callable[[int, float, Float32Array, Float32Array], bool | None]
Solver = Literal["cg", "cholesky"]

LANE = 16
"""Floats in the longest vectors of today's CPUs; factors are padded to a multiple."""

PIECES = 128
"""Into so many pieces a half-step is cut. A row with more ratings than a piece is itself cut."""

LEAST_PIECE = 4096
"""Ratings below which cutting a row costs more than it saves."""

GATHERED_BYTES = 128 * 2**20
"""A row whose factors would take more than this in each thread goes by V'V with the solver `cg` too.

Not for speed: with 20M generated ratings, the rows of 1,024 and more by V'V took twice the time at rank 50, and three
times at rank 200.
"""

TOLERANCE = 0.01
"""Conjugate gradients stop when the preconditioned residual has fallen to this share."""

MOST_STEPS = 3
"""Conjugate gradient steps of a row at most, from the factors of the iteration before."""

FIRST_STEPS = 10
"""The same in the first iterations, while those factors are still far off."""

FIRST_ITERATIONS = 3


@dataclass(frozen=True)
class Factors:
    """What training found: the users and movies that have ratings, by rising dense index, and their factors.

    Attributes:
        user_index: shape (users,).
        users: shape (users, rank).
        movie_index: shape (movies,).
        movies: shape (movies, rank).
        objective: the objective after each iteration, shape (iterations,).
    """

    user_index: Int32Array
    users: Float32Array
    movie_index: Int32Array
    movies: Float32Array
    objective: Float64Array


class Sums(NamedTuple):
    """|r - V x|^2, V'V and V'(r - V x) over some ratings of a row; see `kernel`."""

    squares: float
    gram: Float32Array
    g: Float32Array


@dataclass(frozen=True)
class Method:
    """How rows are solved; see `kernel.solve_rows`."""

    reg_param: np.float32
    heavy: int
    tolerance: np.float32
    most_steps: int


def train(
    ratings: Ratings,
    *,
    rank: int,
    max_iter: int,
    reg_param: float,
    seed: int,
    threads: int,
    solver: Solver = "cg",
    callback: Callback | None = None,
) -> Factors:
    """The factors of users and movies.

    Args:
        ratings: in both orders.
        rank: factors of a user or movie, at least 1.
        max_iter: iterations at most, at least 1.
        reg_param: regularisation, scaled by each row's number of ratings; at least 0.
        seed: of the factors' first values.
        threads: at least 1; never changes the result.
        solver: `cholesky` solves each row exactly; `cg` corrects rows by a few steps of conjugate gradients from their
            factors of the iteration before (Takács, Pilászy, Tikk 2011), far faster at the same objective.
        callback: called after each iteration with its number, from 1, the objective of the factors as they are then,
            and copies of the users' and movies' factors, as in `Factors`. Training ends early if it returns True.

    Raises:
        ConfigError: if more memory is needed than the machine has left.
        DataError: if factors are not finite, at the half-step that made them so.
    """
    by_user, by_movie = ratings.by_user, ratings.by_movie
    check_memory(len(ratings), len(by_user), len(by_movie), rank, threads=threads, held=BYTES_PER_RATING * len(ratings))
    users, movies = start(by_user, rank, (seed, 0)), start(by_movie, rank, (seed, 1))
    objective = []
    # BLAS is called from our threads; with threads of its own there would be too many.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for iteration in range(1, max_iter + 1):
            method = method_for(solver, rank, reg_param, iteration)
            half_step(pool, by_movie, users, movies, method)
            check_finite("movie", iteration, by_movie, movies)
            left = half_step(pool, by_user, movies, users, method)
            check_finite("user", iteration, by_user, users)
            objective.append(left + penalty(by_movie, movies, reg_param))
            if callback and callback(
                iteration, objective[-1], in_order(by_user, users, rank), in_order(by_movie, movies, rank)
            ):
                break
    return Factors(
        np.sort(by_user.index),
        in_order(by_user, users, rank),
        np.sort(by_movie.index),
        in_order(by_movie, movies, rank),
        np.array(objective),
    )


def padded(rank: int) -> int:
    """The width of a row of factors in memory."""
    return -(-rank // LANE) * LANE


def longest_gathered(rank: int) -> int:
    """The most ratings of a row whose factors are gathered for conjugate gradients."""
    return GATHERED_BYTES // (4 * padded(rank))


def memory_needed(rows: int, users: int, movies: int, rank: int, *, threads: int) -> int:
    """Bytes that training takes at its peak.

    Both orders of the ratings, both sides' factors padded and as they are given back, to a callback too, and the sums
    of cut rows: there are at most 2 PIECES pieces of such rows, each with width x width floats. And in each thread the
    factors of one row's ratings, and two matrices.
    """
    width = padded(rank)
    factors = 4 * (users + movies) * (width + 2 * rank)
    gathered = 4 * width * min(rows, max(rows // PIECES, LEAST_PIECE), longest_gathered(rank))
    return BYTES_PER_RATING * rows + factors + 4 * 2 * (PIECES + threads) * width * width + threads * gathered


def check_memory(rows: int, users: int, movies: int, rank: int, *, threads: int, held: int = 0) -> None:
    """Refuses training that does not fit.

    Args:
        rows: ratings.
        users, movies, rank, threads: as in training.
        held: bytes of the sum that are in use already.

    Raises:
        ConfigError: naming the sum and the setting to change.
    """
    needed = memory_needed(rows, users, movies, rank, threads=threads)
    available = psutil.virtual_memory().available + held
    if needed > available:
        raise ConfigError(
            f"training with rank {rank} on {rows:,} ratings of {users:,} users and {movies:,} movies needs "
            f"{needed / 2**30:,.1f} GiB, and {available / 2**30:,.1f} GiB of memory are free",
            "set a smaller rank, or take a smaller dataset",
        )


def method_for(solver: Solver, rank: int, reg_param: float, iteration: int) -> Method:
    heavy = 0 if solver == "cholesky" else longest_gathered(rank)
    return Method(
        np.float32(reg_param),
        heavy,
        np.float32(TOLERANCE),
        FIRST_STEPS if iteration <= FIRST_ITERATIONS else MOST_STEPS,
    )


def start(rows: Rows, rank: int, seed: tuple[int, int]) -> Float32Array:
    """Random directions of length one, padded, shape (rows, width). They follow the index, not the count."""
    directions = np.random.default_rng(seed).standard_normal((len(rows), rank), np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    factors = aligned_zeros(len(rows), padded(rank))
    factors[np.argsort(rows.index), :rank] = directions
    return factors


def aligned_zeros(rows: int, width: int) -> Float32Array:
    """Zeros, shape (rows, width), that begin at a cache line, so that no row straddles one more than it must."""
    line = LANE * 4
    memory = np.zeros(rows * width * 4 + line, np.uint8)
    offset = -memory.ctypes.data % line
    return memory[offset : offset + rows * width * 4].view(np.float32).reshape(rows, width)


def in_order(rows: Rows, factors: Float32Array, rank: int) -> Float32Array:
    """A copy of the factors by rising index, without padding, shape (rows, rank)."""
    return factors[np.argsort(rows.index), :rank]


def penalty(rows: Rows, factors: Float32Array, reg_param: float) -> float:
    """What these factors add to the objective beside the ratings."""
    squares = np.einsum("ij,ij->i", factors, factors, dtype=np.float64)
    return float(np.float32(reg_param) * np.sum(rows.counts * squares))


def half_step(pool: ThreadPoolExecutor, rows: Rows, fixed: Float32Array, solved: Float32Array, method: Method) -> float:
    """Corrects one side's factors in place; returns its part of the objective: the ratings and its own penalty."""
    piece = max(len(rows.values) // PIECES, LEAST_PIECE)
    cut = int(np.count_nonzero(rows.counts > piece))  # the first rows, as counts fall
    parts = [
        [pool.submit(accumulated, rows, fixed, solved[row], first, last) for first, last in pieces(rows, row, piece)]
        for row in range(cut)
    ]
    spans = [
        pool.submit(
            kernel.solve_rows,
            rows.starts,
            rows.columns,
            rows.values,
            fixed,
            solved,
            first,
            last,
            method.reg_param,
            method.heavy,
            method.tolerance,
            method.most_steps,
        )
        for first, last in whole_rows(rows, cut, piece)
    ]
    total = 0.0
    for row, tasks in enumerate(parts):
        total += solve_cut_row(solved[row], method.reg_param * np.float32(rows.counts[row]), tasks)
        tasks.clear()  # so that their sums are freed
    return total + sum(task.result() for task in spans)


def pieces(rows: Rows, row: int, piece: int) -> list[tuple[int, int]]:
    """The ratings of one row in pieces, each (first, last) of at most `piece`."""
    end = int(rows.starts[row + 1])
    return [(first, min(first + piece, end)) for first in range(int(rows.starts[row]), end, piece)]


def whole_rows(rows: Rows, first_row: int, piece: int) -> list[tuple[int, int]]:
    """The rows from `first_row` on in spans, each (first, last) of less than two pieces' ratings."""
    targets = np.arange(rows.starts[first_row], rows.starts[-1], piece)
    bounds = [*np.unique(np.searchsorted(rows.starts, targets)).tolist(), len(rows)]
    return list(pairwise(bounds)) if first_row < len(rows) else []


def accumulated(rows: Rows, fixed: Float32Array, x: Float32Array, first: int, last: int) -> Sums:
    """What the ratings [first, last) of a row add to its equations; see `kernel.accumulate`."""
    gram, g = np.zeros((len(x), len(x)), np.float32), np.zeros(len(x), np.float32)
    return Sums(kernel.accumulate(rows.columns, rows.values, fixed, x, first, last, gram, g), gram, g)


def solve_cut_row(x: Float32Array, penalty: np.float32, tasks: Sequence[Future[Sums]]) -> float:
    """Corrects a row in place from the sums of its pieces, added in their order; returns its objective."""
    g, diagonal, gram = np.empty_like(x), np.empty_like(x), np.zeros((len(x), len(x)), np.float32)
    total: float = kernel.penalty_of(penalty, x, g, diagonal)
    for task in tasks:
        sums = task.result()
        gram += sums.gram
        g += sums.g
        total += sums.squares
    return total - float(kernel.correct(gram, g, penalty, x))


def check_finite(side: str, iteration: int, rows: Rows, factors: Float32Array) -> None:
    """Raises DataError, with the rows by their dense index, if factors are not finite."""
    if np.isfinite(factors).all():
        return
    broken = np.sort(rows.index[~np.isfinite(factors).all(axis=1)])
    named = ", ".join(map(str, broken[:5])) + (f" and {len(broken) - 5:,} more" if len(broken) > 5 else "")
    raise DataError(
        f"ALS iteration {iteration}: factors that are not finite for {side} index {named}",
        "look for ratings that are not finite or far too large",
    )
