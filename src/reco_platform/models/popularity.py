"""Lists that know no user: the same order of movies for everybody, less what each has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from reco_platform.core.arrays import Int32Array, Int64Array, IntArray
from reco_platform.models.als.model import Model, Side
from reco_platform.models.topn.exact import TopN, seen_rows
from reco_platform.splits.interactions import microseconds

MICROSECONDS_OF_A_DAY = 24 * 60 * 60 * 1_000_000


def popularity(movie_index: IntArray, movies: int) -> Int64Array:
    """The number of training ratings of each movie, shape (movies,).

    Args:
        movie_index: the movie of each training rating, by dense index, shape (ratings,).
        movies: how many there are.
    """
    return np.bincount(movie_index, minlength=movies)


def recent_popularity(movie_index: IntArray, moments: Int64Array, days: int, movies: int) -> Int64Array:
    """The same of the last days of training alone, shape (movies,).

    They end with the latest training rating, which is the cut where a split has one in time: ratings count that are
    less than `days` times 24 hours older.

    Args:
        movie_index: the movie of each training rating, by dense index, shape (ratings,), at least one.
        moments: when each was given, in microseconds, shape (ratings,).
        days: at least 1.
        movies: how many there are.
    """
    recent = moments > moments.max() - days * MICROSECONDS_OF_A_DAY
    return popularity(movie_index[recent], movies)


def best_first(*scores: npt.NDArray[Any]) -> Int32Array:
    """Positions of the movies by falling score, shape (movies,).

    Args:
        scores: each of shape (movies,); a later one decides where those before are equal, and then the position, which
            rises with movie_id.
    """
    return np.lexsort([-score for score in reversed(scores)]).astype(np.int32)


@njit(cache=True, nogil=True)
def first_unseen(order: Any, seen_bounds: Any, seen: Any, k: int) -> Any:
    """The first k movies of a common order that each user has not seen.

    Args:
        order: positions of movies, best first, int32, shape (movies,), at least one.
        seen_bounds: user j has seen seen[seen_bounds[j]:seen_bounds[j + 1]], shape (users + 1,).
        seen: positions of movies, in any order.
        k: how many.

    Returns:
        Positions, int32, shape (users, k); -1 where a user has no more left.
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


def most_popular(model: Model, users: Int32Array, known: pa.Table, seen: pa.Table, *, days: int, n: int) -> TopN:
    """The movies with the most recent ratings for users whom a model does not know; the score is their number.

    Where equally many are recent, all ratings decide, then the movie_id.

    Args:
        model: whose movies may be recommended.
        users: ids, rising, shape (users,).
        known: movie_id and rating_ts of the ratings that count.
        seen: user_id and movie_id of what to leave out; all of these users.
        days: how far back is recent, as in `recent_popularity`.
        n: how many, fewer where a user has not so many left.
    """
    at, in_model = model.movies.positions(known["movie_id"].to_numpy())
    moments = microseconds(known["rating_ts"])
    movies, count = at[in_model], len(model.movies.ids)
    recent = recent_popularity(movies, moments[in_model], days, count)
    unknown = Model(Side(users, np.empty((len(users), 0), np.float32)), model.movies)
    own = seen_rows(unknown, seen["user_id"].to_numpy(), seen["movie_id"].to_numpy())
    best = first_unseen(best_first(recent, popularity(movies, count)), own.bounds, own.movies, n)
    listed = best >= 0
    offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    return TopN(model.movies.ids[best[listed]], recent[best[listed]].astype(np.float32), offsets)
