"""The best N movies of each user, exactly: seen ones left out, ties broken by movie_id.

A score is u · v: the float32 factors multiplied in float64, where their products are exact, summed in one fixed order
and rounded once to float32. A movie's bias is a column more: 1 in every user's factors, the bias in the movie's. Lists
follow these scores alone, so they are the same to the bit for any number of threads, any block, BLAS or machine, and
whichever bound is used. Another order of summation may change the last bit of a score, about once in 10^8.

How that comes cheap: float32 products of blocks of users and movies, small enough to stay in cache, only say what
cannot matter. A movie is passed over when its estimate is below the user's N-th score so far by more than float32 can
err; a tie or a near tie never is. Of the rest, about a hundred movies a user, scores are computed as defined above. A
float32 product of vectors of k numbers, summed in any order, errs by no more than about k 2^-24 |u| |v| (Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1, and the Cauchy-Schwarz inequality); twice k + 8 is
allowed, for the roundings around it.

Two bounds leave products out. The first is a cone around the direction w in which users look on average. With c the
mean movie, a = u · w, and u' and v' what is left of u and v - c beside w, the score is at most u · c + a (v - c) · w +
|u'| |v'|. Movies lie in falling order of that bound for the middle user, so that a user is done when nothing behind can
reach its N-th score. Columns that are the same in all movies, like the 1 beside a user's bias, are no part of it: they
change no order. And instead of whole vectors, probes of 17 numbers may be multiplied: the projections on
the 16 principal directions of the factors, and the norm of the rest, which bounds what the rest can add. The first
bound costs nothing where it does nothing; the second is used if a trial on some of the users finds it cheaper.
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
    """User j has seen movies[bounds[j]:bounds[j + 1]]: positions in the model, in rising order, each once."""

    bounds: Int64Array
    movies: Int32Array

    def part(self, users: slice) -> Seen:
        """What some adjacent users have seen; nothing is copied."""
        start, stop, _ = users.indices(len(self.bounds) - 1)
        return Seen(self.bounds[start : stop + 1], self.movies)

    def of(self, users: Int64Array) -> Seen:
        """What the users at these positions have seen."""
        own = [self.movies[self.bounds[user] : self.bounds[user + 1]] for user in users]
        return Seen(np.cumsum([0, *map(len, own)], dtype=np.int64), np.concatenate([self.movies[:0], *own]))


@dataclass(frozen=True)
class TopN:
    """The movies of user j and their scores, best first, lie at offsets[j]:offsets[j + 1]."""

    movie_ids: Int32Array
    scores: Float32Array
    offsets: Int64Array


@dataclass(frozen=True)
class Cone:
    """A bound of the scores of whole blocks of movies.

    Attributes:
        centre: the mean movie, shape (rank,).
        varying: columns that are not the same in all movies, shape (rank,).
        direction: of length one, shape (rank,); 0 where nothing varies.
        spreads: levels of |u'| / (u · direction), rising, shape (levels,).
        bounds: the largest (v - c) · w + spread |v'| in each block and all behind it, shape (blocks, levels + 1); in
            the last column the largest |v - c|, for users who look away from the direction.
    """

    centre: Float64Array
    varying: BoolArray
    direction: Float64Array
    spreads: Float64Array
    bounds: Float64Array

    def of(self, users: Float32Array) -> tuple[Float64Array, Float64Array, Int64Array]:
        """u · c, and what to multiply which column of the bounds by: u · w, or |u| at the last; of each user."""
        varying = users * self.varying
        along, beside = parts_of(varying, self.direction)
        level = np.searchsorted(self.spreads, spreads_of(along, beside))
        return users @ self.centre, np.where(level < len(self.spreads), along, norms(varying)), level


@dataclass(frozen=True)
class Catalogue:
    """The movies, made ready to be searched by `best_of`.

    Attributes:
        ids: by position in the model.
        positions: of each movie in the model, in the order of the cone, like `factors` and `probes`.
        factors: shape (movies, rank).
        norms_from: the largest norm in each block and all behind it.
        cone: bounds the scores of each block and all behind it.
        probe: what is multiplied in place of factors, for users too.
        probes: that of each movie.
    """

    ids: Int32Array
    positions: Int32Array
    factors: Float32Array
    norms_from: Float64Array
    cone: Cone
    probe: Probe
    probes: Float32Array


@dataclass(frozen=True)
class Principal:
    """Projections on the first directions of an orthonormal basis, shape (rank, rank), and the norm of the rest."""

    basis: Float64Array

    def __call__(self, factors: Float32Array) -> Float32Array:
        rotated = factors @ self.basis
        rest = np.linalg.norm(rotated[:, DIRECTIONS:], axis=1, keepdims=True)
        return np.hstack([rotated[:, :DIRECTIONS], rest]).astype(np.float32)


def whole(factors: Float32Array) -> Float32Array:
    """The probe that estimates the score itself."""
    return factors


def seen_rows(model: Model, user_ids: Int32Array, movie_ids: Int32Array) -> Seen:
    """What each user has seen, from pairs in any order; pairs that the model does not know are left out."""
    at_user, user_known = model.users.positions(user_ids)
    at_movie, movie_known = model.movies.positions(movie_ids)
    known = user_known & movie_known
    if not known.all():
        at_user, at_movie = at_user[known], at_movie[known]
    return seen_at(at_user, at_movie, len(model.users.ids), len(model.movies.ids))


def seen_at(at_user: IntArray, at_movie: IntArray, users: int, movies: int) -> Seen:
    """The same from positions in the model, and the numbers of its users and movies."""
    of_user, of_movie = at_user.astype(np.int32, copy=False), at_movie.astype(np.int32, copy=False)
    if topn_kernels.pairs_rise(of_user, of_movie):
        return Seen(np.concatenate([[0], np.cumsum(np.bincount(of_user, minlength=users))]), of_movie)
    return Seen(*topn_kernels.group_pairs(of_user, of_movie, users, movies))


def top_n(model: Model, n: int, seen: Seen, threads: int) -> TopN:
    """The best movies of every user, at most n, fewer where a user has not so many left.

    Args:
        model: the factors.
        n: how many.
        seen: what to leave out, from `seen_rows`.
        threads: how many; the result does not depend on it. Each needs half a megabyte.

    Raises:
        DataError: factors are not finite, or so large that scores would not be.
    """

    def task(first: int) -> TopN:
        users = slice(first, first + TASK_USERS)
        return best_of(model.users.factors[users], movies, seen.part(users), n)

    with threadpool_limits(1, user_api="blas"):
        movies = catalogue_for(model, n, seen)
        with ThreadPoolExecutor(threads) as pool:
            return joined(list(pool.map(task, range(0, len(model.users.ids), TASK_USERS))))


def best_of(users: Float32Array, movies: Catalogue, seen: Seen, n: int) -> TopN:
    """`top_n` of a block of users, shape (users, rank), in the calling thread; `seen` is theirs alone."""
    return search(users, movies, seen, n)[0]


def catalogue_for(model: Model, n: int, seen: Seen) -> Catalogue:
    """The movies with the probe that costs less on some of the users; never a matter of the result."""
    check_size(norms(model.users.factors), norms(model.movies.factors))
    users = np.arange(0, len(model.users.ids), len(model.users.ids) // TRIAL_USERS + 1)
    trial = model.users.factors[users], seen.of(users)

    def cost(movies: Catalogue) -> float:
        """In nanoseconds, on one core of a server of 2024; only the ratio matters."""
        products, offered = search(trial[0], movies, trial[1], n)[1]
        return products * (0.35 + 0.0225 * movies.probes.shape[1]) + offered * 8

    plain = catalogue(model)
    return min((plain, probed(plain, principal(model))), key=cost)


def catalogue(model: Model) -> Catalogue:
    """The movies, probed by their whole factors."""
    order, cone = cone_of(model)
    factors = np.ascontiguousarray(model.movies.factors[order])
    norms_from = largest_from(norms(factors))
    return Catalogue(model.movies.ids, order.astype(np.int32), factors, norms_from, cone, whole, factors)


def probed(movies: Catalogue, probe: Probe) -> Catalogue:
    """The same movies with another probe."""
    return replace(movies, probe=probe, probes=probe(movies.factors))


def cone_of(model: Model) -> tuple[Int64Array, Cone]:
    """The order of the movies, and the bound of their blocks in that order; learnt from some of the users."""
    users = model.users.factors[:: len(model.users.ids) // CONE_USERS + 1]
    movies = model.movies.factors.astype(np.float64)
    varying = (movies != movies[:1]).any(axis=0)
    centre = np.where(varying, movies.mean(axis=0), movies[0])
    mean = users.sum(axis=0, dtype=np.float64) / max(len(users), 1) * varying
    direction = mean / max(float(np.linalg.norm(mean)), TINY)
    spread = spreads_of(*parts_of(users * varying, direction))
    spread = spread[np.isfinite(spread)]
    spreads = np.quantile(spread, np.linspace(0, 1, LEVELS)) if len(spread) else spread
    along, beside = parts_of(movies - centre, direction)
    middle = along + spreads[LEVELS // 2] * beside if len(spreads) else norms(movies - centre)
    order = np.argsort(-middle, kind="stable")
    reaches = [*(along + level * beside for level in spreads), norms(movies - centre)]
    bounds = np.column_stack([largest_from(reach[order]) for reach in reaches])
    return order, Cone(centre, varying, direction, spreads, bounds)


def parts_of(vectors: npt.NDArray[Any], direction: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Of each vector how far it goes along a direction of length one, and the length of the rest."""
    along = vectors @ direction
    return along, norms(vectors - along[:, None] * direction)


def spreads_of(along: Float64Array, beside: Float64Array) -> Float64Array:
    """How wide each vector lies to the direction; infinite where it does not go along it."""
    return np.divide(beside, along, out=np.full(len(along), np.inf), where=along > TINY)


def largest_from(values: Float64Array) -> Float64Array:
    """The largest value in each block and all behind it."""
    blocks = np.maximum.reduceat(values, np.arange(0, len(values), topn_kernels.ITEM_BLOCK)) if len(values) else values
    return np.ascontiguousarray(np.maximum.accumulate(blocks[::-1])[::-1])


def principal(model: Model) -> Principal:
    """The directions in which users and movies together, each side counted alike, are largest."""
    grams = [side.factors.T @ side.factors.astype(np.float64) for side in (model.users, model.movies)]
    both = sum(gram / max(np.trace(gram), np.finfo(np.float64).tiny) for gram in grams)
    return Principal(np.linalg.eigh(both)[1][:, ::-1])


def search(users: Float32Array, movies: Catalogue, seen: Seen, n: int) -> tuple[TopN, tuple[int, int]]:
    """The best of a block of users, and how many probes were multiplied and how many scores looked into."""
    sizes = norms(users)
    check_size(sizes, movies.norms_from)
    offsets = np.zeros(len(users) + 1, np.int64)
    np.cumsum(np.minimum(n, len(movies.ids) - np.diff(seen.bounds)), out=offsets[1:])
    best, scores = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    users = np.ascontiguousarray(users)
    work = topn_kernels.search(
        *(users, movies.probe(users), sizes, *movies.cone.of(users), seen.bounds, seen.movies),
        *(movies.factors, movies.probes, movies.positions, movies.norms_from, movies.cone.bounds),
        *(offsets, best, scores),
        2 * (users.shape[1] + 8) * 2.0**-24,
    )
    return TopN(movies.ids[best], scores, offsets), work


def norms(factors: Float32Array | Float64Array) -> Float64Array:
    """Of each row, in float64, where no square of a float32 number overflows or vanishes."""
    return np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))


def check_size(users: Float64Array, movies: Float64Array) -> None:
    """A NaN or an infinity among the factors shows in the norms."""
    largest = [float(side.max(initial=0)) for side in (users, movies)]
    if not largest[0] * largest[1] <= LARGEST_SCORE:
        raise DataError(
            f"the model's factors are too large for scores in float32: the largest norm of a user is {largest[0]:g}, "
            f"of a movie {largest[1]:g}, and their product must be at most {LARGEST_SCORE:g}",
            "train it again with a larger reg_param",
        )


def joined(parts: list[TopN]) -> TopN:
    """The parts' users one after another."""
    counts = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)])
    ids = np.concatenate([np.empty(0, np.int32), *(part.movie_ids for part in parts)])
    scores = np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)])
    return TopN(ids, scores, np.cumsum(counts))
