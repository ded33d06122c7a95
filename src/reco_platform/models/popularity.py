"""Popularity: the same order of movies for every user, without those that the user has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from reco_platform.core.arrays import Float64Array, Int32Array, Int64Array, IntArray
from reco_platform.models.als.model import Model, Side
from reco_platform.models.topn.exact import TopN, seen_by_id
from reco_platform.splits.interactions import MICROSECONDS_OF_A_DAY, microseconds

UNITS = 1 << 20
"""A rating of today in the units of `recent_popularity`."""


def popularity(movie_index: IntArray, movies: int) -> Int64Array:
    """The number of training ratings of each movie, shape (movies,).

    Args:
        movie_index: the movie of each training rating, by dense index, shape (ratings,).
        movies: number of movies.
    """
    return np.bincount(movie_index, minlength=movies)


def recent_popularity(movie_index: IntArray, moments: Int64Array, half_life: float, movies: int) -> Float64Array:
    """The number of training ratings of each movie, where older ratings count less, shape (movies,).

    A rating counts 2^(-age / half_life), its age measured from the latest training rating. In a split by time, that is
    the end of the training period. Counts are rounded to multiples of 2^-20, so that their sums are exact and depend on
    no order.

    Args:
        movie_index: the movie of each training rating, by dense index, shape (ratings,), at least one.
        moments: time of each rating in microseconds, shape (ratings,).
        half_life: days, above 0.
        movies: number of movies.
    """
    age = (moments.max() - moments) / MICROSECONDS_OF_A_DAY
    counted = np.rint(np.exp2(-age / half_life) * UNITS)
    return np.bincount(movie_index, counted, minlength=movies) / UNITS


def best_first(*scores: npt.NDArray[Any]) -> Int32Array:
    """Positions of the movies by falling score, shape (movies,).

    Args:
        scores: arrays of shape (movies,); each one breaks the ties of those before it, and the position, which rises
            with movie_id, the rest.
    """
    return np.lexsort([-score for score in reversed(scores)]).astype(np.int32)


@njit(cache=True, nogil=True)
def first_unseen(order: Any, seen_bounds: Any, seen: Any, k: int) -> Any:
    """The first k movies of a common order that each user has not seen.

    Args:
        order: positions of movies, best first, int32, shape (movies,), at least one.
        seen_bounds: user j has seen seen[seen_bounds[j]:seen_bounds[j + 1]], shape (users + 1,).
        seen: positions of movies, in any order.
        k: length of the lists.

    Returns:
        Positions, int32, shape (users, k); -1 after the last unseen movie.
    """
    users = len(seen_bounds) - 1
    lists = np.full((users, k), np.int32(-1))
    seen_by = np.full(order.max() + 1, -1)
    for user in range(users):
        for position in seen[seen_bounds[user] : seen_bounds[user + 1]]:
            if position < len(seen_by):
                seen_by[position] = user
        found = 0
        for position in order:
            if found == k:
                break
            if seen_by[position] != user:
                lists[user, found] = position
                found += 1
    return lists


def most_popular(
    catalogue: Side, users: Int32Array, known: pa.Table, seen: pa.Table, *, half_life: float, n: int
) -> TopN:
    """Lists of the most popular movies of late, for users whom a model does not know.

    The score is that of `recent_popularity`. Ties are broken by the number of all ratings, then by movie_id.

    Args:
        catalogue: movies that may be recommended.
        users: ids in rising order, shape (users,).
        known: movie_id and rating_ts of the ratings to count.
        seen: user_id and movie_id of the movies to leave out, only of these users.
        half_life: days; see `recent_popularity`.
        n: length of the lists; shorter for users with fewer unseen movies.
    """
    positions, in_model = catalogue.positions(known["movie_id"].to_numpy())
    moments = microseconds(known["rating_ts"])
    movies, count = positions[in_model], len(catalogue.ids)
    recent = recent_popularity(movies, moments[in_model], half_life, count)
    unknown = Model(Side.without_factors(users), catalogue)
    seen_by_user = seen_by_id(unknown, seen["user_id"].to_numpy(), seen["movie_id"].to_numpy())
    best = first_unseen(best_first(recent, popularity(movies, count)), seen_by_user.bounds, seen_by_user.movies, n)
    listed = best >= 0
    offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    return TopN(catalogue.ids[best[listed]], recent[best[listed]].astype(np.float32), offsets)
