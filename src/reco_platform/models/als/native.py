"""ALS in threads of this process, for predicting ratings and for ordering lists.

The objective is that of iALS (Rendle, Krichene, Zhang, Koren 2021, Revisiting the Performance of iALS, equations 3 to 6
with nu = 1), where the first sum is over ratings r with weight c, the second over all pairs of a user and a movie, a is
the weight of unobserved pairs, n_u and n_i are numbers of ratings, and U and I numbers of users and movies:

    sum c (r - u'v)^2 + a sum (u'v)^2 + reg_param (sum (n_u + a I) |u|^2 + sum (n_i + a U) |v|^2)

With a = 0 and c = 1 it is that of ALS-WR (Zhou et al. 2008, section 3.1), as in Spark ML's ALS. Factors start as random
vectors, and each iteration solves the movies' factors from the users', then
the users' from the movies'. The work is divided into pieces by numbers of ratings, not by the number of threads, and
sums follow the order of the pieces. So the result is equal to the bit for any number of threads.
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
from reco_platform.models.als.ratings import BYTES_PER_COLUMN, Ratings, SparseRows

Callback = Callable[[int, float, Float32Array, Float32Array], bool | None]
Solver = Literal["cg", "cholesky"]

LANE = 16
"""float32 numbers in the longest vector registers of current CPUs; the width of factors is a multiple of it."""

PIECES = 128
"""Number of pieces of a half-step. A row with more ratings than a piece is split itself."""

MIN_PIECE = 4096
"""Ratings of the smallest piece: splitting rows further costs more than it saves."""

GATHERED_BYTES = 128 * 2**20
"""Rows whose gathered factors would need more memory than this in each thread are solved from V'V, also with `cg`.

This limits memory and saves no time: with 20M generated ratings, solving all rows of 1,024 ratings or more from V'V
took twice as long at rank 50, and three times at rank 200.
"""

TOLERANCE = 0.01
"""Conjugate gradients stop when the preconditioned residual has fallen to this share of its first value."""

MAX_STEPS = 3
"""Maximum of conjugate gradient steps of a row, starting from its factors of the previous iteration."""

FIRST_STEPS = 10
"""The maximum in the first iterations, when those factors are still far from the solution."""

FIRST_ITERATIONS = 3

IMPLICIT_LENGTH = 0.01
"""Length of the initial factors with unobserved pairs. With 0.1 (Rendle et al. 2021, section 4.4), the objective on
generated-1m (rank 64) was 0.8% higher after 10 iterations; NDCG on validation folds of ml-latest-small was the same."""

BASE_ROWS = 1 << 14
"""Rows of factors whose Gram matrix is computed at once."""

NO_BASE = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Factors:
    """The trained factors of the users and movies that have ratings, by rising dense index.

    Attributes:
        user_index: shape (users,).
        users: shape (users, rank).
        movie_index: shape (movies,).
        movies: shape (movies, rank).
        objective: after each iteration, shape (iterations,).
    """

    user_index: Int32Array
    users: Float32Array
    movie_index: Int32Array
    movies: Float32Array
    objective: Float64Array


class PieceSums(NamedTuple):
    """|r - V x|^2, V'V and V'(r - V x) over some ratings of a row; see `kernel`."""

    squares: float
    gram: Float32Array
    g: Float32Array


class HalfStep(NamedTuple):
    """What one side's factors are solved from: the other side's factors, B, and the penalty of each row."""

    fixed: Float32Array
    base: Float32Array
    penalties: Float32Array


@dataclass(frozen=True)
class SolverSettings:
    """How rows are solved in an iteration; see `kernel.solve_rows`."""

    cholesky_above: int
    tolerance: np.float32
    max_steps: int


def train(
    ratings: Ratings,
    *,
    rank: int,
    max_iter: int,
    reg_param: float,
    seed: int,
    threads: int,
    solver: Solver = "cg",
    unobserved_weight: float = 0.0,
    callback: Callback | None = None,
) -> Factors:
    """Trains the factors of users and movies.

    Args:
        ratings: by user and by movie.
        rank: number of factors of a user or movie, at least 1.
        max_iter: maximum number of iterations, at least 1.
        reg_param: regularisation, scaled by each row's number of ratings; at least 0.
        seed: of the random initial factors.
        threads: at least 1; never changes the result.
        solver: `cholesky` solves each row exactly. `cg` improves the factors of the previous iteration by a few steps
            of conjugate gradients (Takács, Pilászy, Tikk 2011): much faster, with the same final objective.
        unobserved_weight: weight of the pairs without a rating, whose value is 0; at least 0.
        callback: called after each iteration with its number (from 1), the objective, and copies of the users' and
            movies' factors, as in `Factors`. Training stops early if it returns True.

    Raises:
        ConfigError: if training needs more memory than is available.
        DataError: if factors are not finite, after the half-step that produced them.
    """
    by_user, by_movie = ratings.by_user, ratings.by_movie
    check_memory(
        len(ratings), len(by_user), len(by_movie), rank, threads=threads,
        in_use=ratings.bytes_per_rating * len(ratings), bytes_per_rating=ratings.bytes_per_rating,
    )  # fmt: skip
    length = IMPLICIT_LENGTH if unobserved_weight else 1.0
    users, movies = (initial_factors(rows, rank, (seed, side), length) for side, rows in enumerate((by_user, by_movie)))
    user_penalties = penalties(by_user, reg_param, unobserved_weight * len(by_movie))
    movie_penalties = penalties(by_movie, reg_param, unobserved_weight * len(by_user))
    objective = []
    # BLAS is called from these threads; threads of its own would oversubscribe the cores.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for iteration in range(1, max_iter + 1):
            settings = solver_settings(solver, rank, iteration)
            terms = HalfStep(users, base_of(pool, users, unobserved_weight), movie_penalties)
            solve_side(pool, by_movie, terms, movies, settings)
            check_finite("movie", iteration, by_movie, movies)
            terms = HalfStep(movies, base_of(pool, movies, unobserved_weight), user_penalties)
            loss = solve_side(pool, by_user, terms, users, settings)
            check_finite("user", iteration, by_user, users)
            objective.append(loss + penalty(by_movie, movies, reg_param, unobserved_weight * len(by_user)))
            if callback and callback(
                iteration, objective[-1], by_rising_index(by_user, users, rank), by_rising_index(by_movie, movies, rank)
            ):
                break
    return Factors(
        np.sort(by_user.index),
        by_rising_index(by_user, users, rank),
        np.sort(by_movie.index),
        by_rising_index(by_movie, movies, rank),
        np.array(objective),
    )


def padded_width(rank: int) -> int:
    """The width of a row of factors in memory: the rank, rounded up to a multiple of LANE."""
    return -(-rank // LANE) * LANE


def longest_gathered(rank: int) -> int:
    """The greatest number of ratings of a row that is solved by conjugate gradients."""
    return GATHERED_BYTES // (4 * padded_width(rank))


def memory_needed(
    rows: int, users: int, movies: int, rank: int, *, threads: int, bytes_per_rating: int = 2 * BYTES_PER_COLUMN
) -> int:
    """Peak memory of training in bytes.

    It holds both orders of the ratings; both sides' factors, padded and twice without padding (the result and the
    copies for the callback); the sums of split rows, at most 2 PIECES matrices of width x width; and in each thread the
    gathered factors of one row and two matrices.
    """
    width = padded_width(rank)
    factors = 4 * (users + movies) * (width + 2 * rank)
    gathered = 4 * width * min(rows, max(rows // PIECES, MIN_PIECE), longest_gathered(rank))
    return bytes_per_rating * rows + factors + 4 * 2 * (PIECES + threads) * width * width + threads * gathered


def check_memory(
    rows: int,
    users: int,
    movies: int,
    rank: int,
    *,
    threads: int,
    in_use: int = 0,
    bytes_per_rating: int = 2 * BYTES_PER_COLUMN,
) -> None:
    """Checks that training fits into the available memory.

    Args:
        rows: number of ratings.
        users, movies, rank, threads: as in training.
        in_use: bytes of the needed memory that are already allocated.
        bytes_per_rating: see `Ratings.bytes_per_rating`.

    Raises:
        ConfigError: if it does not fit.
    """
    needed = memory_needed(rows, users, movies, rank, threads=threads, bytes_per_rating=bytes_per_rating)
    available = psutil.virtual_memory().available + in_use
    if needed > available:
        raise ConfigError(
            f"training with rank {rank} on {rows:,} ratings of {users:,} users and {movies:,} movies needs "
            f"{needed / 2**30:,.1f} GiB of memory, and {available / 2**30:,.1f} GiB are available",
            "set a smaller rank or use a smaller data set",
        )


def solver_settings(solver: Solver, rank: int, iteration: int) -> SolverSettings:
    cholesky_above = 0 if solver == "cholesky" else longest_gathered(rank)
    return SolverSettings(
        cholesky_above,
        np.float32(TOLERANCE),
        FIRST_STEPS if iteration <= FIRST_ITERATIONS else MAX_STEPS,
    )


def initial_factors(rows: SparseRows, rank: int, seed: tuple[int, int], length: float = 1.0) -> Float32Array:
    """Random vectors of a length, padded, shape (rows, width); assigned by rising dense index."""
    directions = np.random.default_rng(seed).standard_normal((len(rows), rank), np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions *= np.float32(length)
    factors = aligned_zeros(len(rows), padded_width(rank))
    factors[np.argsort(rows.index), :rank] = directions
    return factors


def aligned_zeros(rows: int, width: int) -> Float32Array:
    """Zeros, shape (rows, width), aligned to a cache line, so that rows touch as few cache lines as possible."""
    line = LANE * 4
    memory = np.zeros(rows * width * 4 + line, np.uint8)
    offset = -memory.ctypes.data % line
    return memory[offset : offset + rows * width * 4].view(np.float32).reshape(rows, width)


def by_rising_index(rows: SparseRows, factors: Float32Array, rank: int) -> Float32Array:
    """A copy of the factors by rising dense index, without padding, shape (rows, rank)."""
    return factors[np.argsort(rows.index), :rank]


def penalties(rows: SparseRows, reg_param: float, unobserved: float) -> Float32Array:
    """The regularisation of each row, shape (rows,); `unobserved` is the weight of all pairs of a row."""
    return np.float32(reg_param) * (rows.counts + unobserved).astype(np.float32)


def penalty(rows: SparseRows, factors: Float32Array, reg_param: float, unobserved: float) -> float:
    """The regularisation term of these factors in the objective."""
    squares = np.einsum("ij,ij->i", factors, factors, dtype=np.float64)
    return float(np.float32(reg_param) * np.sum((rows.counts + unobserved) * squares))


def base_of(pool: ThreadPoolExecutor, factors: Float32Array, unobserved_weight: float) -> Float32Array:
    """The Gram matrix of all factors of a side times the weight of unobserved pairs, shape (width, width).

    The sum is over blocks of BASE_ROWS rows in a fixed order, in float64, so it is the same for any number of threads.
    """
    if not unobserved_weight:
        return NO_BASE
    blocks = [factors[first : first + BASE_ROWS] for first in range(0, len(factors), BASE_ROWS)]
    total = np.zeros((factors.shape[1], factors.shape[1]))
    for gram in pool.map(lambda block: block.T @ block, blocks):
        total += gram
    return (unobserved_weight * total).astype(np.float32)


def solve_side(
    pool: ThreadPoolExecutor, rows: SparseRows, terms: HalfStep, solved: Float32Array, settings: SolverSettings
) -> float:
    """Solves one side's factors in place; returns the sum of its rows' objectives."""
    piece = max(len(rows.columns) // PIECES, MIN_PIECE)
    split_rows = int(np.count_nonzero(rows.counts > piece))  # they come first, as counts fall
    parts = [
        [
            pool.submit(piece_sums, rows, terms.fixed, solved[row], first, last)
            for first, last in pieces(rows, row, piece)
        ]
        for row in range(split_rows)
    ]
    spans = [
        pool.submit(
            kernel.solve_rows,
            rows.starts,
            rows.columns,
            rows.values,
            rows.scales,
            terms.fixed,
            terms.base,
            terms.penalties,
            solved,
            first,
            last,
            settings.cholesky_above,
            settings.tolerance,
            settings.max_steps,
        )
        for first, last in whole_rows(rows, split_rows, piece)
    ]
    total = 0.0
    for row, tasks in enumerate(parts):
        total += solve_split_row(solved[row], terms.penalties[row], terms.base, tasks)
        tasks.clear()  # frees their sums
    return total + sum(task.result() for task in spans)


def pieces(rows: SparseRows, row: int, piece: int) -> list[tuple[int, int]]:
    """The ratings of one row as ranges [first, last) of at most `piece` ratings."""
    end = int(rows.starts[row + 1])
    return [(first, min(first + piece, end)) for first in range(int(rows.starts[row]), end, piece)]


def whole_rows(rows: SparseRows, first_row: int, piece: int) -> list[tuple[int, int]]:
    """The rows from `first_row` on as ranges [first, last), each with fewer ratings than two pieces."""
    targets = np.arange(rows.starts[first_row], rows.starts[-1], piece)
    # A target within the last row is the end of the rows, which must not be there twice.
    return list(pairwise(np.unique([*np.searchsorted(rows.starts, targets), len(rows)]).tolist()))


def piece_sums(rows: SparseRows, fixed: Float32Array, x: Float32Array, first: int, last: int) -> PieceSums:
    """The sums over the ratings [first, last) of a row; see `kernel.accumulate`."""
    gram, g = np.zeros((len(x), len(x)), np.float32), np.zeros(len(x), np.float32)
    return PieceSums(kernel.accumulate(rows.columns, rows.values, rows.scales, fixed, x, first, last, gram, g), gram, g)


def solve_split_row(
    x: Float32Array, penalty: np.float32, base: Float32Array, tasks: Sequence[Future[PieceSums]]
) -> float:
    """Solves a split row in place from the sums of its pieces, added in order; returns its objective."""
    g, diagonal, gram = np.empty_like(x), np.empty_like(x), np.zeros((len(x), len(x)), np.float32)
    if len(base):
        gram += base
    total: float = kernel.penalty_of(penalty, base, x, g, diagonal)
    for task in tasks:
        sums = task.result()
        gram += sums.gram
        g += sums.g
        total += sums.squares
    return total - float(kernel.correct_by_cholesky(gram, g, penalty, x))


def check_finite(side: str, iteration: int, rows: SparseRows, factors: Float32Array) -> None:
    """Raises DataError with the dense indexes of the rows if factors are not finite."""
    if np.isfinite(factors).all():
        return
    not_finite = np.sort(rows.index[~np.isfinite(factors).all(axis=1)])
    named = ", ".join(map(str, not_finite[:5])) + (f" and {len(not_finite) - 5:,} more" if len(not_finite) > 5 else "")
    raise DataError(
        f"ALS iteration {iteration}: the factors of {side} index {named} are not finite",
        "check the data for ratings that are not finite or much too large",
    )
