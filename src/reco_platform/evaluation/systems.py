"""Predictions and recommendation lists of all systems: the models and the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from reco_platform.core.arrays import Float64Array, Int32Array
from reco_platform.core.errors import RecoError
from reco_platform.evaluation.dataset import EvaluationDataset
from reco_platform.evaluation.settings import Settings
from reco_platform.models import biases, popularity
from reco_platform.models.als.model import Model, Side
from reco_platform.models.ranking import diversify as rerank
from reco_platform.models.ranking import models as ranking_models
from reco_platform.models.ranking.models import ITEM_WEIGHTS, RankingModel
from reco_platform.models.topn import exact as topn


def predictions(
    models: Mapping[str, Model], fitted: biases.Biases, dataset: EvaluationDataset
) -> dict[str, Float64Array]:
    """The prediction of every test rating by each system that predicts ratings; NaN where a model has none."""
    test = dataset.test
    return {
        **{name: model.predict(test.users, test.movies) for name, model in models.items()},
        "biases": fitted.predict(test.user_index, test.movie_index),
        "global_mean": np.full(len(test.ratings), fitted.mean),
    }


def recommendation_lists(
    models: Mapping[str, Model], fitted: biases.Biases, dataset: EvaluationDataset, settings: Settings
) -> dict[str, Int32Array]:
    """The list of every test user by each system that ranks movies, without movies seen in training.

    Positions in the catalogue, shape (users, largest evaluation_k), -1 after the last; cold users have empty lists.
    """
    length, seen = max(settings.evaluation_k), seen_in_training(dataset)
    lists = {
        name: top_n_lists(
            model, dataset, seen, length, settings.threads,
            diversify=settings.diversify if name == settings.ranking_system else 0.0,
        )
        for name, model in models.items()
    }  # fmt: skip
    orders = {
        "biases": popularity.best_first(catalogue_biases(fitted, dataset), dataset.movie_counts),
        "popular": popularity.best_first(dataset.movie_counts),
        "popular_recent": popularity.best_first(recent_counts(dataset, settings), dataset.movie_counts),
    }
    for name, order in orders.items():
        lists[name] = popularity.first_unseen(order, seen.bounds, seen.movies, length)
    return {name: lists_for_all_users(warm_lists, dataset) for name, warm_lists in lists.items()}


def item_baselines(dataset: EvaluationDataset, settings: Settings) -> tuple[dict[str, RankingModel], dict[str, str]]:
    """The item models other than the ranking model, and why each of the others cannot be trained."""
    wanted = [name for name in ITEM_WEIGHTS if name != settings.ranking_system]
    try:
        gram = ranking_models.item_gram(dataset.train, settings.ranking, settings.threads)
    except RecoError as error:
        return {}, dict.fromkeys(wanted, error.message)
    trained: dict[str, RankingModel] = {}
    absent: dict[str, str] = {}
    for name in wanted:
        own = replace(gram, matrix=gram.matrix.copy())  # training overwrites it
        try:
            trained[name] = ranking_models.weights_from(name, own, settings.ranking)
        except RecoError as error:
            absent[name] = error.message
    return trained, absent


def ranking_model_lists(model: RankingModel, dataset: EvaluationDataset, settings: Settings) -> Int32Array:
    """A ranking model's list for each test user, as in `recommendation_lists`; re-ranked by `settings.diversify`.

    Warm users without positives get the most popular movies, as users without a list of their own do when served.
    """
    warm, length = dataset.users[dataset.warm_users], max(settings.evaluation_k)
    found = ranking_models.lists(
        model, warm, dataset.train, settings.ranking,
        n=rerank.candidates(length, settings.diversify), threads=settings.threads,
    )  # fmt: skip
    found = rerank.diversified(found, model.movies, length, settings.diversify, settings.threads)
    return completed_lists(
        found, length, dataset, lambda: popularity.best_first(recent_counts(dataset, settings), dataset.movie_counts)
    )


def completed_lists(
    found: topn.TopN, length: int, dataset: EvaluationDataset, order: Callable[[], Int32Array]
) -> Int32Array:
    """Lists of the warm test users as lists of all test users; a warm user without one gets the first unseen movies.

    Args:
        found: of the warm test users.
        length: of the lists.
        dataset: see EvaluationDataset.
        order: gives positions in the catalogue, best first; called only if a warm user has no list.
    """
    padded = padded_lists(found, dataset.movies, length)
    empty = np.flatnonzero(np.diff(found.offsets) == 0)
    if len(empty):
        seen = seen_in_training(dataset).select(empty)
        padded[empty] = popularity.first_unseen(order(), seen.bounds, seen.movies, length)
    return lists_for_all_users(padded, dataset)


def recent_counts(dataset: EvaluationDataset, settings: Settings) -> Float64Array:
    """The popularity of late of each movie of the catalogue, shape (m,)."""
    return popularity.recent_popularity(
        dataset.train_movie, dataset.train.moments, settings.popular_half_life, len(dataset.movies)
    )


def top_n_lists(
    model: Model, dataset: EvaluationDataset, seen: topn.Seen, length: int, threads: int, *, diversify: float = 0.0
) -> Int32Array:
    """A model's list for each warm test user, shape (warm users, length)."""
    warm = dataset.users[dataset.warm_users]
    positions, _ = model.users.positions(warm)
    part = Model(Side(warm, model.users.factors[positions]), model.movies)
    best = topn.top_n(part, rerank.candidates(length, diversify), seen, threads)
    best = rerank.diversified(best, model.movies, length, diversify, threads)
    return padded_lists(best, dataset.movies, length)


def seen_in_training(dataset: EvaluationDataset) -> topn.Seen:
    """The movies that each warm test user has rated in training."""
    warm = dataset.user_positions[dataset.warm_users]
    row_of_user = np.full(len(dataset.user_counts), -1, np.int32)
    row_of_user[warm] = np.arange(len(warm), dtype=np.int32)
    rows = row_of_user[dataset.train_user]
    is_test_user = rows >= 0
    return topn.seen_by_position(rows[is_test_user], dataset.train_movie[is_test_user], len(warm), len(dataset.movies))


def padded_lists(best: topn.TopN, movies: Int32Array, length: int) -> Int32Array:
    """Lists of ids as positions in the catalogue, shape (users, length), -1 after the last."""
    lists = np.full((len(best.offsets) - 1, length), -1, np.int32)
    lengths = np.diff(best.offsets)
    lists[np.arange(length) < lengths[:, None]] = np.searchsorted(movies, best.movie_ids)
    return lists


def catalogue_biases(fitted: biases.Biases, dataset: EvaluationDataset) -> Float64Array:
    """The bias of each movie of the catalogue, shape (m,)."""
    index = np.zeros(len(dataset.movies), np.int32)
    index[dataset.train_movie] = dataset.train.movie_index
    return biases.bias_of(fitted.movies, index)


def lists_for_all_users(lists: Int32Array, dataset: EvaluationDataset) -> Int32Array:
    """Lists of the warm test users as lists of all test users, with empty lists for the others."""
    all_lists = np.full((len(dataset.users), lists.shape[1]), -1, np.int32)
    all_lists[dataset.warm_users] = lists
    return all_lists
