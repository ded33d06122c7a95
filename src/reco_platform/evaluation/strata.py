"""Metrics by popularity of movies and by activity of users, over warm rows and warm users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array, Int32Array, Int64Array
from reco_platform.evaluation import beyond_accuracy, ranking_metrics
from reco_platform.evaluation.dataset import EvaluationDataset
from reco_platform.evaluation.rating_metrics import rating_sums
from reco_platform.evaluation.user_sums import UserSums, metric_values, to_json, with_suffix

RATING_METRICS = ("rmse_warm", "mae_warm")


def strata_metrics(
    predictions: Mapping[str, Float64Array],
    lists: Mapping[str, Int32Array],
    relevant: ranking_metrics.RelevantItems,
    sums: Mapping[str, Sequence[UserSums]],
    *,
    dataset: EvaluationDataset,
    k: int,
) -> dict[str, Any]:
    """RMSE, MAE and ranking metrics at k by stratum and system, and the number of test rows in each stratum.

    Args:
        predictions: of every test row, by system.
        lists: of every test user, by system.
        relevant: the relevant movies of every test user.
        sums: the metrics of each system on all rows.
        dataset: what the arrays refer to.
        k: length of lists.
    """
    stratum_of_movie = dataset.item_strata
    stratum_of_row = np.where(dataset.warm_rows, stratum_of_movie[dataset.movie_of_row], -1)
    quartile_of_user = warm_user_quartiles(dataset)
    quartile_of_row = np.where(dataset.warm_rows, quartile_of_user[dataset.user_of_row], -1)

    def metrics_of(rows: BoolArray, relevant: ranking_metrics.RelevantItems) -> dict[str, list[UserSums]]:
        """Every system's metrics on some of the rows and some of the relevant movies."""
        rating = {
            name: warm_rating_sums(np.where(rows, values, np.nan), dataset) for name, values in predictions.items()
        }
        ranking = {name: ranking_metrics.ranking_sums(found, relevant, (k,)) for name, found in lists.items()}
        return {name: [part[name] for part in (rating, ranking) if name in part] for name in {**rating, **ranking}}

    movies = {
        name: metrics_of(stratum_of_row == label, relevant.restricted_to(stratum_of_movie == label))
        for label, name in enumerate(beyond_accuracy.ITEM_STRATA)
    }
    users = {
        name: {system: [part.for_group(quartile_of_user == label) for part in parts] for system, parts in sums.items()}
        for label, name in enumerate(beyond_accuracy.USER_STRATA)
    }
    return {
        "movies": {name: selected_metrics(systems, k) for name, systems in movies.items()},
        "users": {name: selected_metrics(systems, k) for name, systems in users.items()},
        "test_rows": {
            name: int((labels == label).sum())
            for names, labels in (
                (beyond_accuracy.ITEM_STRATA, stratum_of_row),
                (beyond_accuracy.USER_STRATA, quartile_of_row),
            )
            for label, name in enumerate(names)
        },
    }


def warm_user_quartiles(dataset: EvaluationDataset) -> Int64Array:
    """The activity quartile of each test user, -1 for those that the model does not know, shape (n,)."""
    quartiles = np.full(len(dataset.users), -1)
    counts = dataset.user_counts[dataset.user_positions[dataset.warm_users]]
    quartiles[dataset.warm_users] = beyond_accuracy.activity_quartiles(counts)
    return quartiles


def warm_rating_sums(predicted: Float64Array, dataset: EvaluationDataset) -> UserSums:
    return with_suffix(rating_sums(dataset.test.ratings, predicted, dataset.user_of_row, len(dataset.users)), "warm")


def selected_metrics(systems: Mapping[str, list[UserSums]], k: int) -> dict[str, Any]:
    """The values of RATING_METRICS and of the ranking metrics at k, by system."""
    names = {*RATING_METRICS, *(f"{name}@{k}" for name in ranking_metrics.NAMES)}
    return {
        system: {name: to_json(value) for part in parts for name, value in metric_values(part).items() if name in names}
        for system, parts in systems.items()
    }
