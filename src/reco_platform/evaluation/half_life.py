"""How fast popularity fades: the half-life whose lists find most of what users liked in the validation fold."""

from __future__ import annotations

import numpy as np

from reco_platform.core.arrays import BoolArray
from reco_platform.evaluation import ranking_metrics
from reco_platform.evaluation.dataset import RatingArrays, distinct_users
from reco_platform.evaluation.user_sums import metric_values
from reco_platform.models import popularity
from reco_platform.models.topn import exact as topn

HALF_LIVES = (7, 30, 90, 365, 1000, 3650)
"""Days; with the last one, the popularity of late is nearly that of all time."""

LENGTH = 10
MAX_USERS = 20_000
"""More validation users are thinned out evenly: the choice needs no more."""


def choose_half_life(train: RatingArrays, validation: RatingArrays, liked_rating: float) -> int:
    """The one of HALF_LIVES with the greatest NDCG@10 on the validation fold; the longest of equal ones.

    All validation users count, also those without training ratings: it is mostly they who get such a list. Relevant are
    the movies that a user rated at least `liked_rating`, or all of them if nobody liked one.

    Args:
        train, validation: ratings of the two folds, with dense indexes over both.
        liked_rating: in stars.
    """
    users, user_of_row = distinct_users(validation)
    validation = validation.where(user_of_row % max(1, -(-len(users) // MAX_USERS)) == 0)
    movies = 1 + max(int(part.movie_index.max(initial=-1)) for part in (train, validation))
    counts = popularity.popularity(train.movie_index, movies)
    relevant = relevant_movies(validation, counts > 0, liked_rating)
    seen = seen_in_train(train, validation, movies)
    scores: dict[int, float] = {}
    for days in reversed(HALF_LIVES):
        recent = popularity.recent_popularity(train.movie_index, train.moments, days, movies)
        order = popularity.best_first(recent, counts)
        lists = popularity.first_unseen(order[: np.count_nonzero(counts)], seen.bounds, seen.movies, LENGTH)
        found = metric_values(ranking_metrics.ranking_sums(lists, relevant, (LENGTH,)))[f"ndcg@{LENGTH}"]
        scores[days] = found.value or 0.0
    return max(scores, key=lambda days: scores[days])


def relevant_movies(
    validation: RatingArrays, in_train: BoolArray, liked_rating: float
) -> ranking_metrics.RelevantItems:
    """The relevant movies of each validation user, by dense index."""
    users, user_of_row = distinct_users(validation)
    known = in_train[validation.movie_index]
    liked = known & (validation.ratings >= liked_rating)
    rows = liked if liked.any() else known
    return ranking_metrics.relevant_items(
        user_of_row[rows].astype(np.int32), validation.movie_index[rows], len(users), len(in_train)
    )


def seen_in_train(train: RatingArrays, validation: RatingArrays, movies: int) -> topn.Seen:
    """The movies that each validation user has rated in the train fold, by dense index."""
    users, user_of_row = distinct_users(validation)
    last = max(int(part.user_index.max(initial=-1)) for part in (train, validation))
    row_of_user = np.full(last + 1, -1, np.int32)
    row_of_user[validation.user_index] = user_of_row
    rows = row_of_user[train.user_index]
    kept = rows >= 0
    return topn.seen_by_position(rows[kept], train.movie_index[kept], len(users), movies)
