"""What a model is judged in: the rows of both folds seen from the model, and what every system says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import BoolArray, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, IntArray
from reco_platform.evaluation import beyond_accuracy
from reco_platform.models import biases, popularity
from reco_platform.models.als.model import Model, Side
from reco_platform.models.topn import exact as topn
from reco_platform.splits.interactions import microseconds


@dataclass(frozen=True)
class Settings:
    """The config keys of the same names, and threads, which never change a result."""

    cold_start_strategy: str
    evaluation_k: tuple[int, ...]
    relevance: str
    relevant_rating: float
    popular_days: int
    bias_damping: float
    bootstrap_samples: int
    bootstrap_seed: int
    threads: int

    @property
    def headline_k(self) -> int:
        """The length of lists at which systems are compared: the middle one."""
        return self.evaluation_k[len(self.evaluation_k) // 2]


@dataclass(frozen=True)
class Rows:
    """Ratings as arrays of one length.

    Attributes:
        users, movies: ids.
        user_index, movie_index: dense numbers over all folds.
        ratings: in stars.
        moments: microseconds since 1970.
    """

    users: Int32Array
    movies: Int32Array
    user_index: Int32Array
    movie_index: Int32Array
    ratings: Float32Array
    moments: Int64Array

    def where(self, chosen: BoolArray) -> Rows:
        return self if chosen.all() else Rows(*(getattr(self, field.name)[chosen] for field in fields(self)))


COLUMNS = ("user_id", "movie_id", "user_index", "movie_index", "rating", "rating_ts")


def rows_of(table: pa.Table) -> Rows:
    """The rows of a table that has COLUMNS."""
    users, movies, user_index, movie_index, ratings = (table[name].to_numpy() for name in COLUMNS[:5])
    return Rows(users, movies, user_index, movie_index, ratings, microseconds(table["rating_ts"]))


@dataclass(frozen=True)
class EvaluationDataset:
    """What every system is judged in.

    Attributes:
        train: the rows that the model was trained on.
        train_user, train_movie: positions of their users and movies in the model.
        test: the rows that judge it.
        users: the distinct users of the test rows, rising ids, shape (n,).
        user_of_row: which of them each test row is by.
        known_users: which of them the model knows, shape (n,): the warm users.
        at_user: their positions in the model, shape (n,); of no meaning for the others.
        movies: ids of the model's movies, the catalogue, shape (m,).
        movie_of_row: position in the catalogue of each test row's movie.
        known_rows: test rows whose user and movie the model knows: the warm rows.
        counts: training ratings of each movie, shape (m,).
        activity: training ratings of each user of the model.
        genres: shape (m, genres).
    """

    train: Rows
    train_user: IntArray
    train_movie: IntArray
    test: Rows
    users: Int32Array
    user_of_row: Int64Array
    known_users: BoolArray
    at_user: IntArray
    movies: Int32Array
    movie_of_row: IntArray
    known_rows: BoolArray
    counts: Int64Array
    activity: Int64Array
    genres: BoolArray

    @cached_property
    def item_strata(self) -> Int8Array:
        """Of each movie, shape (m,)."""
        return beyond_accuracy.item_strata(self.counts)


def evaluation_dataset(model: Model, train: Rows, test: Rows, genres: pa.Table) -> EvaluationDataset:
    users, user_of_row = distinct(test)
    at_user, known_users = model.users.positions(users)
    movie_of_row, known_movies = model.movies.positions(test.movies)
    train_user, user_there = model.users.positions(train.users)
    train_movie, movie_there = model.movies.positions(train.movies)
    there = user_there & movie_there
    if not there.all():
        train_user, train_movie = train_user[there], train_movie[there]
    return EvaluationDataset(
        train=train.where(there),
        train_user=train_user,
        train_movie=train_movie,
        test=test,
        users=users,
        user_of_row=user_of_row,
        known_users=known_users,
        at_user=at_user,
        movies=model.movies.ids,
        movie_of_row=movie_of_row,
        known_rows=known_users[user_of_row] & known_movies,
        counts=np.bincount(train_movie, minlength=len(model.movies.ids)),
        activity=np.bincount(train_user, minlength=len(model.users.ids)),
        genres=genre_matrix(model.movies.ids, genres),
    )


def distinct(rows: Rows) -> tuple[Int32Array, Int64Array]:
    """The distinct users by rising id, and which of them each row is by: np.unique without a sort."""
    there = np.bincount(rows.user_index) > 0
    number = np.cumsum(there) - 1
    user_of_row = number[rows.user_index]
    users = np.empty(int(there.sum()), np.int32)
    users[user_of_row] = rows.users
    return users, user_of_row


def genre_matrix(movie_ids: Int32Array, genres: pa.Table) -> BoolArray:
    """Which genres each movie has, shape (movies, genres); none where the table lacks the movie."""
    columns: dict[str, int] = {}
    found = dict(zip(genres["movie_id"].to_pylist(), genres["genres"].to_pylist(), strict=True))
    pairs = [
        (row, columns.setdefault(name, len(columns)))
        for row, movie in enumerate(movie_ids.tolist())
        for name in found.get(movie) or ()
    ]
    matrix = np.zeros((len(movie_ids), max(len(columns), 1)), bool)
    if pairs:
        matrix[tuple(np.array(pairs).T)] = True
    return matrix


def relevant_rows(scene: EvaluationDataset, relevance: str, relevant_rating: float) -> BoolArray:
    """Test rows of warm users and movies that count as liked: from the given rating, or from the user's mean on."""
    test = scene.test
    if relevance == "threshold":
        return scene.known_rows & (test.ratings >= relevant_rating)
    train = scene.train
    counts = np.bincount(train.user_index, minlength=int(test.user_index.max(initial=0)) + 1)
    sums = np.bincount(train.user_index, train.ratings, minlength=len(counts))
    means = sums / np.maximum(counts, 1)
    return scene.known_rows & (test.ratings >= means[test.user_index])


# --- systems


def predicted(models: Mapping[str, Model], fitted: biases.Biases, scene: EvaluationDataset) -> dict[str, Float64Array]:
    """Each rating system's prediction of every test row; of a model NaN for cold rows."""
    test = scene.test
    return {
        **{name: model.predict(test.users, test.movies) for name, model in models.items()},
        "biases": fitted.predict(test.user_index, test.movie_index),
        "global_mean": np.full(len(test.ratings), fitted.mean),
    }


def lists_of(
    models: Mapping[str, Model], fitted: biases.Biases, scene: EvaluationDataset, settings: Settings
) -> dict[str, Int32Array]:
    """Each ranking system's best movies for every test user, seen ones left out; none for cold users."""
    longest, seen = max(settings.evaluation_k), seen_by(scene)
    found = {name: best_of(model, scene, seen, longest, settings.threads) for name, model in models.items()}
    recent = popularity.recent_popularity(
        scene.train_movie, scene.train.moments, settings.popular_days, len(scene.movies)
    )
    orders = {
        "biases": popularity.best_first(of_catalogue(fitted, scene), scene.counts),
        "popular": popularity.best_first(scene.counts),
        "popular_recent": popularity.best_first(recent, scene.counts),
    }
    for name, order in orders.items():
        found[name] = popularity.first_unseen(order, seen.bounds, seen.movies, longest)
    return {name: for_all(lists, scene) for name, lists in found.items()}


def best_of(model: Model, scene: EvaluationDataset, seen: topn.Seen, longest: int, threads: int) -> Int32Array:
    """A model's best movies for each warm test user, shape (warm users, longest)."""
    warm = scene.users[scene.known_users]
    at, _ = model.users.positions(warm)
    best = topn.top_n(Model(Side(warm, model.users.factors[at]), model.movies), longest, seen, threads)
    return rectangular(best, scene.movies, longest)


def seen_by(scene: EvaluationDataset) -> topn.Seen:
    """What each warm test user has seen in training."""
    known = scene.at_user[scene.known_users]
    place = np.full(len(scene.activity), -1, np.int32)
    place[known] = np.arange(len(known), dtype=np.int32)
    of_row = place[scene.train_user]
    theirs = of_row >= 0
    return topn.seen_at(of_row[theirs], scene.train_movie[theirs], len(known), len(scene.movies))


def rectangular(best: topn.TopN, movies: Int32Array, longest: int) -> Int32Array:
    """Lists of ids as positions in the catalogue, shape (users, longest), -1 behind the last."""
    lists = np.full((len(best.offsets) - 1, longest), -1, np.int32)
    lengths = np.diff(best.offsets)
    lists[np.arange(longest) < lengths[:, None]] = np.searchsorted(movies, best.movie_ids)
    return lists


def of_catalogue(fitted: biases.Biases, scene: EvaluationDataset) -> Float64Array:
    """The bias of each movie of the catalogue, shape (m,)."""
    index = np.zeros(len(scene.movies), np.int32)
    index[scene.train_movie] = scene.train.movie_index
    return biases.of(fitted.movies, index)


def for_all(lists: Int32Array, scene: EvaluationDataset) -> Int32Array:
    """Lists of the warm test users as lists of all, empty for the others."""
    full = np.full((len(scene.users), lists.shape[1]), -1, np.int32)
    full[scene.known_users] = lists
    return full
