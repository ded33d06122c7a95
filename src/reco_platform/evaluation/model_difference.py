"""The differences between two models in RMSE and in NDCG, on the same rows, users and resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array, Int32Array
from reco_platform.evaluation import bootstrap
from reco_platform.evaluation.dataset import (
    NO_GENRES,
    EvaluationDataset,
    RatingArrays,
    distinct_users,
    evaluation_dataset,
    relevant_by_user,
    relevant_rows,
)
from reco_platform.evaluation.ranking_metrics import ranking_sums
from reco_platform.evaluation.rating_metrics import rating_sums
from reco_platform.evaluation.systems import completed_lists
from reco_platform.evaluation.user_sums import UserSums, to_json
from reco_platform.models import biases, popularity
from reco_platform.models.als.model import Model, Side
from reco_platform.models.ranking import models as ranking_models
from reco_platform.models.ranking.models import RankingModel

LIST_LENGTH = 10
"""Length of the lists that are compared; shorter where the catalogue is."""


@dataclass(frozen=True)
class Ranker:
    """A model that orders lists, with the parameters of the positives that it was trained on."""

    model: RankingModel
    params: Mapping[str, Any]


def rmse_difference(
    model: Model, other: Model, train: RatingArrays, test: RatingArrays, params: Mapping[str, Any]
) -> dict[str, Any]:
    """A model's RMSE minus the other's, with its interval; see bootstrap.Difference.

    rmse_all is over all test rows, with the biases as prediction where a model lacks the user or the movie; rmse_warm
    is over the rows whose user and movie both models know.

    Args:
        model: trained on `train`.
        other: the model to compare with.
        train: rows for the biases.
        test: rows to evaluate on.
        params: gate_metric, bias_damping, bootstrap_samples, bootstrap_seed.
    """
    ours, theirs = (one.predict(test.users, test.movies) for one in (model, other))
    if params["gate_metric"] == "rmse_all":
        rows = train.where(known_rows(model, train))
        fitted = biases.fit(rows.user_index, rows.movie_index, rows.ratings, params["bias_damping"])
        fallback = fitted.predict(test.user_index, test.movie_index)
        ours, theirs = (np.where(np.isnan(predicted), fallback, predicted) for predicted in (ours, theirs))
    else:
        both = ~np.isnan(ours) & ~np.isnan(theirs)
        ours, theirs = (np.where(both, predicted, np.nan) for predicted in (ours, theirs))
    systems = {"ours": errors(ours, test), "theirs": errors(theirs, test)}
    resamples = bootstrap.resample(systems, params["bootstrap_samples"], params["bootstrap_seed"])
    return to_json(bootstrap.differences(resamples["ours"], resamples["theirs"])["rmse"])


def known_rows(model: Model, rows: RatingArrays) -> BoolArray:
    """Whether the model knows the user and the movie of each row."""
    return model.users.positions(rows.users)[1] & model.movies.positions(rows.movies)[1]


def errors(predicted: Float64Array, test: RatingArrays) -> UserSums:
    users, user_of_row = distinct_users(test)
    return rating_sums(test.ratings, predicted, user_of_row, len(users))


def ndcg_difference(
    ours: Ranker, theirs: Ranker, train: RatingArrays, test: RatingArrays, params: Mapping[str, Any], *, threads: int
) -> dict[str, Any]:
    """The NDCG of one model's lists minus that of another's, with its interval; see bootstrap.Difference.

    The lists are of the test users with training ratings, without the movies of those ratings. A user whom a model has
    no list for gets the most popular movies.

    Args:
        ours: trained on `train`.
        theirs: the model to compare with.
        train: rows that lists leave out.
        test: rows to evaluate on.
        params: relevance, relevant_rating, bootstrap_samples, bootstrap_seed.
        threads: never changes the result.
    """
    known = [one.model.movies.ids for one in (ours, theirs)]
    movies = np.unique(np.concatenate([train.movies, *known]))
    everybody = Model(Side.without_factors(np.unique(train.users)), Side.without_factors(movies))
    dataset = evaluation_dataset(everybody, train, test, NO_GENRES)
    relevant = relevant_by_user(dataset, relevant_rows(dataset, params["relevance"], params["relevant_rating"]))
    length = min(LIST_LENGTH, len(movies))
    systems = {
        name: ranking_sums(lists_of(one, dataset, length, threads), relevant, (length,))
        for name, one in (("ours", ours), ("theirs", theirs))
    }
    resamples = bootstrap.resample(systems, params["bootstrap_samples"], params["bootstrap_seed"])
    return to_json(bootstrap.differences(resamples["ours"], resamples["theirs"])[f"ndcg@{length}"])


def lists_of(ranker: Ranker, dataset: EvaluationDataset, length: int, threads: int) -> Int32Array:
    """The list of each test user as positions in the catalogue, shape (users, length), -1 after the last."""
    warm = dataset.users[dataset.warm_users]
    found = ranking_models.lists(ranker.model, warm, dataset.train, ranker.params, n=length, threads=threads)
    return completed_lists(found, length, dataset, lambda: popularity.best_first(dataset.movie_counts))
