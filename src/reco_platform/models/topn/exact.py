"""Exact top-N lists: the unseen movies with the highest scores of each user; ties are broken by movie_id.

The score is u · v: the products of the float32 factors in float64, where they are exact, summed in a fixed order and
rounded once to float32. A movie's bias is one more column: 1 in every user's factors, the bias in the movie's. Lists
depend on these scores alone, so they are equal to the bit for any number of threads, block size, BLAS and machine, and
for any of the bounds below. A different order of summation would change the last bit of about one score in 10^8.

To make this fast, float32 products of blocks of users and movies, small enough for the cache, serve as estimates. A
movie is skipped if its estimate is below the user's N-th best score so far by more than the float32 error, so never in
a tie or a near tie. The exact score is computed for the other movies, about a hundred per user. The error of a float32
dot product of vectors of length k, summed in any order, is at most about k 2^-24 |u| |v| (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 3.1, and the Cauchy-Schwarz inequality). The margin here is
2 (k + 8) 2^-24, which covers the roundings around it.

Two bounds save products. The first is a cone around w, the mean direction of the users. With c the mean movie,
a = u · w, and u' and v' the components of u and v - c orthogonal to w, the score is at most
u · c + a (v - c) · w + |u'| |v'|. Movies are sorted by that bound for the median user, so a user is finished when no
later movie can reach its N-th score. Columns with the same value in all movies, like the 1 beside a user's bias, are
left out of the bound, since they do not change the order. The second bound multiplies probes of 17 numbers instead of
whole vectors: the projections on the 16 principal directions of the factors, and the norm of the rest, which bounds its
contribution. The first bound costs nothing if it saves nothing. The second is used if it is faster for a user sample.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from reco_platform.core.arrays import BoolArray, Float32Array, Float64Array, Int32Array, Int64Array, IntArray
from reco_platform.core.errors import DataError
from reco_platform.core.progress import Report, no_report, reported
from reco_platform.models.als.model import Model
from reco_platform.models.topn import kernels as topn_kernels

TASK_USERS = 1024
TRIAL_USERS = 256
DIRECTIONS = 16
LEVELS = 64
CONE_USERS = 4096
TINY = float(np.finfo(np.float64).tiny)
LARGEST_SCORE = float(np.finfo(np.float32).max) / 2

Probe = Callable[[Float32Array], Float32Array]


@dataclass(frozen=True)
class Seen:
    """User j has seen movies[bounds[j]:bounds[j + 1]]: distinct positions in the model in rising order."""

    bounds: Int64Array
    movies: Int32Array

    def part(self, users: slice) -> Seen:
        """The seen movies of adjacent users, without a copy."""
        start, stop, _ = users.indices(len(self.bounds) - 1)
        return Seen(self.bounds[start : stop + 1], self.movies)

    def select(self, users: Int64Array) -> Seen:
        """The seen movies of the users at these positions."""
        own = [self.movies[self.bounds[user] : self.bounds[user + 1]] for user in users]
        return Seen(np.cumsum([0, *map(len, own)], dtype=np.int64), np.concatenate([self.movies[:0], *own]))


@dataclass(frozen=True)
class TopN:
    """The list of user j, best movie first, is at offsets[j]:offsets[j + 1]."""

    movie_ids: Int32Array
    scores: Float32Array
    offsets: Int64Array


@dataclass(frozen=True)
class Cone:
    """An upper bound of the scores of whole blocks of movies; see the module's docstring for u, v, c and w.

    Attributes:
        centre: the mean movie, shape (rank,).
        varying: columns that differ between movies, shape (rank,).
        direction: the unit vector w, shape (rank,); 0 if no column varies.
        spreads: levels of |u'| / (u · w), rising, shape (levels,).
        bounds: the maximum of (v - c) · w + spread |v'| over each block and all later ones, shape (blocks, levels + 1);
            in the last column the maximum of |v - c|, for users with u · w <= 0.
    """

    centre: Float64Array
    varying: BoolArray
    direction: Float64Array
    spreads: Float64Array
    bounds: Float64Array

    def user_terms(self, users: Float32Array) -> tuple[Float64Array, Float64Array, Int64Array]:
        """For each user u · c, the factor for the bounds (u · w, or |u| for the last column), and the column to use."""
        varying = users * self.varying
        along, beside = split_along(varying, self.direction)
        level = np.searchsorted(self.spreads, spread_ratios(along, beside))
        return users @ self.centre, np.where(level < len(self.spreads), along, norms(varying)), level


@dataclass(frozen=True)
class Catalogue:
    """The movies, prepared for `top_n_of_block`.

    Attributes:
        ids: by position in the model.
        positions: position in the model of each movie, in the order of the cone, like `factors` and `probes`.
        factors: shape (movies, rank).
        norms_from: the largest norm in each block and all later ones.
        cone: bounds the scores of each block and all later ones.
        probe: computes the vectors that are multiplied instead of the factors, of users and movies.
        probes: of each movie.
    """

    ids: Int32Array
    positions: Int32Array
    factors: Float32Array
    norms_from: Float64Array
    cone: Cone
    probe: Probe
    probes: Float32Array


@dataclass(frozen=True)
class PrincipalProbe:
    """A probe: the projections on the first directions of an orthonormal basis, shape (rank, rank), and the norm of the
    rest."""

    basis: Float64Array

    def __call__(self, factors: Float32Array) -> Float32Array:
        rotated = factors @ self.basis
        rest = np.linalg.norm(rotated[:, DIRECTIONS:], axis=1, keepdims=True)
        return np.hstack([rotated[:, :DIRECTIONS], rest]).astype(np.float32)


def full_factors(factors: Float32Array) -> Float32Array:
    """The probe whose products are estimates of the scores themselves."""
    return factors


def seen_by_id(model: Model, user_ids: Int32Array, movie_ids: Int32Array) -> Seen:
    """The seen movies of each user, from pairs in any order; pairs that the model does not know are left out."""
    users, user_known = model.users.positions(user_ids)
    movies, movie_known = model.movies.positions(movie_ids)
    known = user_known & movie_known
    if not known.all():
        users, movies = users[known], movies[known]
    return seen_by_position(users, movies, len(model.users.ids), len(model.movies.ids))


def seen_by_position(users: IntArray, movies: IntArray, user_count: int, movie_count: int) -> Seen:
    """The seen movies of each user, from pairs of positions in the model in any order."""
    pairs = users.astype(np.int32, copy=False), movies.astype(np.int32, copy=False)
    if topn_kernels.pairs_rise(*pairs):
        return Seen(np.concatenate([[0], np.cumsum(np.bincount(pairs[0], minlength=user_count))]), pairs[1])
    return Seen(*topn_kernels.group_pairs(*pairs, user_count, movie_count))


def top_n(model: Model, n: int, seen: Seen, threads: int, report: Report = no_report) -> TopN:
    """The lists of all users, of n movies, or fewer for users with fewer unseen movies.

    Args:
        model: the factors.
        n: length of the lists.
        seen: movies to leave out, from `seen_by_id`.
        threads: number of threads; never changes the result. Each needs half a megabyte.
        report: called with the progress.

    Raises:
        DataError: factors are not finite, or so large that scores could overflow.
    """

    def task(first: int) -> TopN:
        users = slice(first, first + TASK_USERS)
        return top_n_of_block(model.users.factors[users], movies, seen.part(users), n)

    with threadpool_limits(1, user_api="blas"):
        movies = fastest_catalogue(model, n, seen)
        with ThreadPoolExecutor(threads) as pool:
            users = len(model.users.ids)
            parts = pool.map(task, range(0, users, TASK_USERS))
            return concatenate(list(reported(parts, report, "users", users, lambda part: len(part.offsets) - 1)))


def top_n_of_block(users: Float32Array, movies: Catalogue, seen: Seen, n: int) -> TopN:
    """`top_n` of a block of users, shape (users, rank), in the calling thread; `seen` has only these users."""
    return search(users, movies, seen, n)[0]


def fastest_catalogue(model: Model, n: int, seen: Seen) -> Catalogue:
    """The movies with the probe that costs less on some of the users; never a matter of the result."""
    check_norms(norms(model.users.factors), norms(model.movies.factors))
    users = np.arange(0, len(model.users.ids), len(model.users.ids) // TRIAL_USERS + 1)
    trial = model.users.factors[users], seen.select(users)

    def cost(movies: Catalogue) -> float:
        """Nanoseconds on one core of a server of 2024; only the ratio matters."""
        products, offered = search(trial[0], movies, trial[1], n)[1]
        return products * (0.35 + 0.0225 * movies.probes.shape[1]) + offered * 8

    unprobed = build_catalogue(model)
    return min((unprobed, with_probe(unprobed, principal(model))), key=cost)


def build_catalogue(model: Model) -> Catalogue:
    """The movies, with their factors as probes."""
    order, cone = build_cone(model)
    factors = np.ascontiguousarray(model.movies.factors[order])
    norms_from = largest_in_suffixes(norms(factors))
    return Catalogue(model.movies.ids, order.astype(np.int32), factors, norms_from, cone, full_factors, factors)


def with_probe(movies: Catalogue, probe: Probe) -> Catalogue:
    """The same movies with another probe."""
    return replace(movies, probe=probe, probes=probe(movies.factors))


def build_cone(model: Model) -> tuple[Int64Array, Cone]:
    """The order of the movies, and the bound of their blocks in that order, from a sample of users."""
    users = model.users.factors[:: len(model.users.ids) // CONE_USERS + 1]
    movies = model.movies.factors.astype(np.float64)
    varying = (movies != movies[:1]).any(axis=0)
    centre = np.where(varying, movies.mean(axis=0), movies[0])
    mean = users.sum(axis=0, dtype=np.float64) / max(len(users), 1) * varying
    direction = mean / max(float(np.linalg.norm(mean)), TINY)
    spread = spread_ratios(*split_along(users * varying, direction))
    spread = spread[np.isfinite(spread)]
    spreads = np.quantile(spread, np.linspace(0, 1, LEVELS)) if len(spread) else spread
    along, beside = split_along(movies - centre, direction)
    middle = along + spreads[LEVELS // 2] * beside if len(spreads) else norms(movies - centre)
    order = np.argsort(-middle, kind="stable")
    reaches = [*(along + level * beside for level in spreads), norms(movies - centre)]
    bounds = np.column_stack([largest_in_suffixes(reach[order]) for reach in reaches])
    return order, Cone(centre, varying, direction, spreads, bounds)


def split_along(vectors: npt.NDArray[Any], direction: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Each vector's component along a unit vector, and the length of its orthogonal component."""
    along = vectors @ direction
    return along, norms(vectors - along[:, None] * direction)


def spread_ratios(along: Float64Array, beside: Float64Array) -> Float64Array:
    """The ratio of the orthogonal to the parallel component of each vector; infinite if the latter is not positive."""
    return np.divide(beside, along, out=np.full(len(along), np.inf), where=along > TINY)


def largest_in_suffixes(values: Float64Array) -> Float64Array:
    """The largest value in each block and all later ones."""
    blocks = np.maximum.reduceat(values, np.arange(0, len(values), topn_kernels.ITEM_BLOCK)) if len(values) else values
    return np.ascontiguousarray(np.maximum.accumulate(blocks[::-1])[::-1])


def principal(model: Model) -> PrincipalProbe:
    """The principal directions of users and movies together, with equal weight for both sides."""
    grams = [side.factors.T @ side.factors.astype(np.float64) for side in (model.users, model.movies)]
    both = sum(gram / max(np.trace(gram), np.finfo(np.float64).tiny) for gram in grams)
    return PrincipalProbe(np.linalg.eigh(both)[1][:, ::-1])


def search(users: Float32Array, movies: Catalogue, seen: Seen, n: int) -> tuple[TopN, tuple[int, int]]:
    """The lists of a block of users, with the number of probe products and of those that reached the limit."""
    sizes = norms(users)
    check_norms(sizes, movies.norms_from)
    offsets = np.zeros(len(users) + 1, np.int64)
    np.cumsum(np.minimum(n, len(movies.ids) - np.diff(seen.bounds)), out=offsets[1:])
    best, scores = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    users = np.ascontiguousarray(users)
    work = topn_kernels.search(
        *(users, movies.probe(users), sizes, *movies.cone.user_terms(users), seen.bounds, seen.movies),
        *(movies.factors, movies.probes, movies.positions, movies.norms_from, movies.cone.bounds),
        *(offsets, best, scores),
        2 * (users.shape[1] + 8) * 2.0**-24,
    )
    return TopN(movies.ids[best], scores, offsets), work


def norms(factors: Float32Array | Float64Array) -> Float64Array:
    """The norm of each row, in float64, where no square of a float32 number overflows or underflows."""
    return np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))


def check_norms(users: Float64Array, movies: Float64Array) -> None:
    """Raises DataError if scores could overflow float32; NaN and infinity among the factors show in the norms."""
    largest = [float(side.max(initial=0)) for side in (users, movies)]
    if not largest[0] * largest[1] <= LARGEST_SCORE:
        raise DataError(
            f"the model's factors are too large for scores in float32: the largest norm of a user is {largest[0]:g}, "
            f"of a movie {largest[1]:g}, and their product must be at most {LARGEST_SCORE:g}",
            "train it again with a larger reg_param",
        )


def concatenate(parts: list[TopN]) -> TopN:
    """The lists of all parts, in order."""
    counts = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)])
    ids = np.concatenate([np.empty(0, np.int32), *(part.movie_ids for part in parts)])
    scores = np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)])
    return TopN(ids, scores, np.cumsum(counts))
