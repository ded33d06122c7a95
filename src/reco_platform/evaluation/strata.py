"""Metrics apart: by the popularity of movies, and by the activity of users. Known rows and users alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array, Int32Array
from reco_platform.evaluation import beyond_accuracy, ranking_metrics
from reco_platform.evaluation.dataset import EvaluationDataset
from reco_platform.evaluation.rating_metrics import rating_sums
from reco_platform.evaluation.user_sums import UserSums, figures, named, plain

SHOWN = ("rmse_warm", "mae_warm")


def strata_of(
    predictions: Mapping[str, Float64Array],
    lists: Mapping[str, Int32Array],
    wanted: ranking_metrics.Relevant,
    whole: Mapping[str, Sequence[UserSums]],
    *,
    scene: EvaluationDataset,
    k: int,
) -> dict[str, Any]:
    """RMSE, MAE and ranking at k of each stratum, by system, and how many test rows each stratum has.

    Args:
        predictions: of every test row, by system; of a stratum's rows those count that the model knows.
        lists: of every test user, by system.
        wanted: the relevant movies of every test user.
        whole: what is known of each system on all rows.
        scene: what both are about.
        k: length of lists.
    """
    of_movie = scene.item_strata
    of_row = np.where(scene.known_rows, of_movie[scene.movie_of_row], -1)
    of_user = np.full(len(scene.users), -1)
    of_user[scene.known_users] = beyond_accuracy.activity_quartiles(scene.activity[scene.at_user[scene.known_users]])
    user_of_known = np.where(scene.known_rows, of_user[scene.user_of_row], -1)

    def judged(rows: BoolArray, relevant: ranking_metrics.Relevant) -> dict[str, list[UserSums]]:
        """Every system on some of the rows and some of the relevant movies."""
        rated = {name: rated_rows(np.where(rows, values, np.nan), scene) for name, values in predictions.items()}
        ranked = {name: ranking_metrics.ranking_sums(best, relevant, (k,)) for name, best in lists.items()}
        return {name: [part[name] for part in (rated, ranked) if name in part] for name in {**rated, **ranked}}

    movies = {
        name: judged(of_row == label, wanted.among(of_movie == label))
        for label, name in enumerate(beyond_accuracy.ITEM_STRATA)
    }
    users = {
        name: {system: [sums.of_group(of_user == label) for sums in parts] for system, parts in whole.items()}
        for label, name in enumerate(beyond_accuracy.USER_STRATA)
    }
    return {
        "movies": {name: shown(systems, k) for name, systems in movies.items()},
        "users": {name: shown(systems, k) for name, systems in users.items()},
        "test_rows": {
            name: int((labels == label).sum())
            for names, labels in ((beyond_accuracy.ITEM_STRATA, of_row), (beyond_accuracy.USER_STRATA, user_of_known))
            for label, name in enumerate(names)
        },
    }


def rated_rows(predicted: Float64Array, scene: EvaluationDataset) -> UserSums:
    return named(rating_sums(scene.test.ratings, predicted, scene.user_of_row, len(scene.users)), "warm")


def shown(systems: Mapping[str, list[UserSums]], k: int) -> dict[str, Any]:
    names = {*SHOWN, *(f"{name}@{k}" for name in ranking_metrics.NAMES)}
    return {
        system: {metric: plain(figure) for sums in parts for metric, figure in figures(sums).items() if metric in names}
        for system, parts in systems.items()
    }
