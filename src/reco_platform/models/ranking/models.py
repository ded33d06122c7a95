"""Ranking models by name: how each is trained and stored, and the lists that it gives.

A ranking model is either factors of users and movies (`Model`) or weights between movies (`ItemWeights`). A new kind of
weights is a module with a function of the Gram matrix, and a line in `ITEM_WEIGHTS` and `SHAPING_PARAMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reco_platform.core.arrays import BoolArray, Float32Array, Float64Array, Int32Array, Int64Array
from reco_platform.core.progress import Report, no_report
from reco_platform.models.als.model import Model, Side, read_model
from reco_platform.models.ranking import ease, item_knn, item_weights
from reco_platform.models.ranking.item_weights import ItemWeights
from reco_platform.models.ranking.positives import positives
from reco_platform.models.topn import exact as topn
from reco_platform.models.topn.exact import TopN

RankingModel = Model | ItemWeights

ITEM_WEIGHTS: Mapping[str, Callable[[Float64Array, Mapping[str, Any]], Float32Array]] = {
    "ease": lambda gram, params: ease.weights(gram, params["ease_reg"]),
    "item_knn": lambda gram, params: item_knn.weights(gram, params["knn_neighbours"], params["knn_shrink"]),
}
"""The weights of each kind from the Gram matrix of the movies, which may be overwritten."""


class Interactions(Protocol):
    """Interactions as arrays of equal length: ids, ratings, and moments in microseconds."""

    @property
    def users(self) -> Int32Array: ...
    @property
    def movies(self) -> Int32Array: ...
    @property
    def ratings(self) -> Float32Array: ...
    @property
    def moments(self) -> Int64Array: ...


@dataclass(frozen=True)
class ItemGram:
    """The movies that weights are trained between, and the Gram matrix of their positives."""

    movies: Side
    matrix: Float64Array


def item_gram(rows: Interactions, params: Mapping[str, Any], threads: int) -> ItemGram:
    """The Gram matrix of the `max_items` movies with the most positives.

    Args:
        rows: the training interactions.
        params: max_items, and those of the positives.
        threads: never changes the result.

    Raises:
        ConfigError: if the data are too large; see `item_weights`.
        DataError: if there are no positives.
    """
    found = positives(rows.ratings, rows.moments, params)
    ids, movie = np.unique(rows.movies[found.kept], return_inverse=True)
    movies = Side.without_factors(ids[item_weights.most_rated(movie, len(ids), params["max_items"])])
    profiles = profiles_of(np.unique(rows.users[found.kept]), movies, rows, params)
    return ItemGram(movies, item_weights.gram_matrix(profiles, len(movies.ids), threads))


def weights_from(kind: str, gram: ItemGram, params: Mapping[str, Any]) -> ItemWeights:
    """Weights of a kind of ITEM_WEIGHTS; the matrix may be overwritten.

    Raises:
        DataError: if they cannot be computed.
    """
    return ItemWeights(kind, Side(gram.movies.ids, ITEM_WEIGHTS[kind](gram.matrix, params)))


def train_item_weights(kind: str, rows: Interactions, params: Mapping[str, Any], threads: int) -> ItemWeights:
    """Trains weights between movies; see `item_gram` and `weights_from`, also for what is raised."""
    return weights_from(kind, item_gram(rows, params, threads), params)


def profiles_of(
    users: Int32Array, movies: Side, rows: Interactions, params: Mapping[str, Any]
) -> item_weights.Profiles:
    """The positives of some users among the movies of a model.

    Args:
        users: ids in rising order.
        movies: of the model.
        rows: all interactions that the model was trained on, also of other users.
        params: of the positives.
    """
    found = positives(rows.ratings, rows.moments, params)
    user, is_wanted = Side.without_factors(users).positions(rows.users[found.kept])
    movie, is_known = movies.positions(rows.movies[found.kept])
    kept = is_wanted & is_known
    return item_weights.profiles(user[kept], movie[kept], found.strengths[kept], len(users))


def users_with_lists(model: RankingModel, rows: Interactions, params: Mapping[str, Any]) -> Int32Array:
    """Ids of the users for whom a model has a list of their own, in rising order."""
    if isinstance(model, Model):
        return model.users.ids
    found = positives(rows.ratings, rows.moments, params)
    return np.unique(rows.users[found.kept][model.movies.positions(rows.movies[found.kept])[1]])


def lists(
    model: RankingModel,
    users: Int32Array,
    rows: Interactions,
    params: Mapping[str, Any],
    *,
    n: int,
    threads: int,
    exclude_seen: bool = True,
    report: Report = no_report,
) -> TopN:
    """The n best movies of each user; empty for users whom the model does not know.

    Args:
        model: trained on `rows`.
        users: ids in rising order.
        rows: the interactions that the model was trained on, and whose movies are left out.
        params: of the positives.
        n: length of the lists; shorter for users with fewer unseen movies.
        threads: never changes the result.
        exclude_seen: whether movies of the user's interactions are left out.
        report: called with the progress.
    """
    counted = slice(None if exclude_seen else 0)
    seen = rows.users[counted], rows.movies[counted]
    if isinstance(model, ItemWeights):
        profiles = profiles_of(users, model.movies, rows, params)
        by_user = topn.seen_by_id(Model(Side.without_factors(users), model.movies), *seen)
        return item_weights.item_lists(model, profiles, by_user, n, threads, report)
    positions, known = model.users.positions(users)
    part = Model(Side(users[known], model.users.factors[positions[known]]), model.movies)
    return with_empty_lists(topn.top_n(part, n, topn.seen_by_id(part, *seen), threads, report), known)


def with_empty_lists(found: TopN, known: BoolArray) -> TopN:
    """Lists of the known users as lists of all users, with empty lists for the others."""
    lengths = np.zeros(len(known), np.int64)
    lengths[known] = np.diff(found.offsets)
    return TopN(found.movie_ids, found.scores, np.concatenate([[0], np.cumsum(lengths)]))


def read_ranking_model(folder: Path) -> RankingModel:
    """Reads a ranking model of any kind."""
    return item_weights.read_item_weights(folder) if item_weights.is_item_weights(folder) else read_model(folder)
