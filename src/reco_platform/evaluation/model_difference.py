"""The difference in RMSE between two models, on the same rows, users and resamples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array
from reco_platform.evaluation import bootstrap
from reco_platform.evaluation.dataset import RatingArrays, distinct_users
from reco_platform.evaluation.rating_metrics import rating_sums
from reco_platform.evaluation.user_sums import UserSums, to_json
from reco_platform.models import biases
from reco_platform.models.als.model import Model


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
