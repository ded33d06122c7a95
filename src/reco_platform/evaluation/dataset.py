"""The data of an evaluation: the training and test ratings, matched with the users and movies that the model knows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import BoolArray, Float32Array, Int8Array, Int32Array, Int64Array, IntArray
from reco_platform.evaluation import beyond_accuracy, ranking_metrics
from reco_platform.models.als.model import Model
from reco_platform.splits.interactions import COLUMNS, microseconds

NO_GENRES = pa.table({"movie_id": pa.array([], pa.int32()), "genres": pa.array([], pa.list_(pa.string()))})
"""For evaluations without diversity."""


@dataclass(frozen=True)
class RatingArrays:
    """Ratings as arrays of equal length, one element a rating.

    Attributes:
        users, movies: ids.
        user_index, movie_index: dense indexes over all folds.
        ratings: in stars.
        moments: microseconds since 1970.
    """

    users: Int32Array
    movies: Int32Array
    user_index: Int32Array
    movie_index: Int32Array
    ratings: Float32Array
    moments: Int64Array

    def where(self, mask: BoolArray) -> RatingArrays:
        return self if mask.all() else RatingArrays(*(getattr(self, field.name)[mask] for field in fields(self)))


def rating_arrays(table: pa.Table) -> RatingArrays:
    """The ratings of a table with COLUMNS."""
    users, movies, user_index, movie_index, ratings = (table[name].to_numpy() for name in COLUMNS[:5])
    return RatingArrays(users, movies, user_index, movie_index, ratings, microseconds(table["rating_ts"]))


@dataclass(frozen=True)
class EvaluationDataset:
    """The ratings of both folds, and how they relate to the model; all systems are evaluated on them.

    Warm users and movies are those that the model knows. Its movies are the catalogue.

    Attributes:
        train: the model's training ratings.
        train_user, train_movie: positions of their users and movies in the model.
        test: the test ratings.
        users: distinct users of the test ratings by rising id, shape (n,).
        user_of_row: position in `users` of each test rating's user.
        warm_users: which of `users` the model knows, shape (n,).
        user_positions: positions of `users` in the model, shape (n,); undefined for the users that it does not know.
        movies: ids of the catalogue, shape (m,).
        movie_of_row: position in the catalogue of each test rating's movie.
        warm_rows: test ratings with a warm user and a warm movie.
        movie_counts: number of training ratings of each movie of the catalogue, shape (m,).
        user_counts: number of training ratings of each user of the model.
        genres: which genres each movie of the catalogue has, shape (m, genres).
    """

    train: RatingArrays
    train_user: IntArray
    train_movie: IntArray
    test: RatingArrays
    users: Int32Array
    user_of_row: Int64Array
    warm_users: BoolArray
    user_positions: IntArray
    movies: Int32Array
    movie_of_row: IntArray
    warm_rows: BoolArray
    movie_counts: Int64Array
    user_counts: Int64Array
    genres: BoolArray

    @cached_property
    def item_strata(self) -> Int8Array:
        """The stratum of each movie of the catalogue, shape (m,)."""
        return beyond_accuracy.item_strata(self.movie_counts)


def evaluation_dataset(model: Model, train: RatingArrays, test: RatingArrays, genres: pa.Table) -> EvaluationDataset:
    """Matches ratings with a model.

    Args:
        model: the model that is evaluated.
        train: ratings of the training folds; those of users or movies that the model does not know are left out.
        test: ratings to evaluate on.
        genres: movie_id and genres (list of text) of the movies.
    """
    users, user_of_row = distinct_users(test)
    user_positions, warm_users = model.users.positions(users)
    movie_of_row, warm_movies = model.movies.positions(test.movies)
    train_user, user_known = model.users.positions(train.users)
    train_movie, movie_known = model.movies.positions(train.movies)
    known = user_known & movie_known
    if not known.all():
        train_user, train_movie = train_user[known], train_movie[known]
    return EvaluationDataset(
        train=train.where(known),
        train_user=train_user,
        train_movie=train_movie,
        test=test,
        users=users,
        user_of_row=user_of_row,
        warm_users=warm_users,
        user_positions=user_positions,
        movies=model.movies.ids,
        movie_of_row=movie_of_row,
        warm_rows=warm_users[user_of_row] & warm_movies,
        movie_counts=np.bincount(train_movie, minlength=len(model.movies.ids)),
        user_counts=np.bincount(train_user, minlength=len(model.users.ids)),
        genres=genre_matrix(model.movies.ids, genres),
    )


def distinct_users(rows: RatingArrays) -> tuple[Int32Array, Int64Array]:
    """The distinct users by rising id, and the position of each rating's user among them.

    Like np.unique with return_inverse, but without a sort: dense indexes rise with the ids.
    """
    occurs = np.bincount(rows.user_index) > 0
    position = np.cumsum(occurs) - 1
    user_of_row = position[rows.user_index]
    users = np.empty(int(occurs.sum()), np.int32)
    users[user_of_row] = rows.users
    return users, user_of_row


def genre_matrix(movie_ids: Int32Array, genres: pa.Table) -> BoolArray:
    """Which genres each movie has, shape (movies, genres); none if the table lacks the movie."""
    columns: dict[str, int] = {}
    genres_of_movie = dict(zip(genres["movie_id"].to_pylist(), genres["genres"].to_pylist(), strict=True))
    pairs = [
        (row, columns.setdefault(name, len(columns)))
        for row, movie in enumerate(movie_ids.tolist())
        for name in genres_of_movie.get(movie) or ()
    ]
    matrix = np.zeros((len(movie_ids), max(len(columns), 1)), bool)
    if pairs:
        matrix[tuple(np.array(pairs).T)] = True
    return matrix


def relevant_rows(dataset: EvaluationDataset, relevance: str, relevant_rating: float) -> BoolArray:
    """The warm test ratings that count as relevant.

    Those of at least `relevant_rating` with relevance=threshold, otherwise those of at least the mean of the user's
    training ratings.
    """
    test = dataset.test
    if relevance == "threshold":
        return dataset.warm_rows & (test.ratings >= relevant_rating)
    train = dataset.train
    counts = np.bincount(train.user_index, minlength=int(test.user_index.max(initial=0)) + 1)
    sums = np.bincount(train.user_index, train.ratings, minlength=len(counts))
    means = sums / np.maximum(counts, 1)
    return dataset.warm_rows & (test.ratings >= means[test.user_index])


def relevant_by_user(dataset: EvaluationDataset, relevant: BoolArray) -> ranking_metrics.RelevantItems:
    """The movies of the relevant test ratings by test user; `relevant` has an element for each test rating."""
    return ranking_metrics.relevant_items(
        dataset.user_of_row[relevant].astype(np.int32), dataset.movie_of_row[relevant].astype(np.int32),
        len(dataset.users), len(dataset.movies),
    )  # fmt: skip
