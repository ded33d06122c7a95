"""How far two models' rating errors are apart, on the same rows, users and resamples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array
from reco_platform.evaluation import bootstrap
from reco_platform.evaluation.dataset import Rows, distinct
from reco_platform.evaluation.rating_metrics import rating_sums
from reco_platform.evaluation.user_sums import UserSums, plain
from reco_platform.models import biases
from reco_platform.models.als.model import Model


def difference(model: Model, other: Model, train: Rows, test: Rows, params: Mapping[str, Any]) -> dict[str, Any]:
    """A model's RMSE less the other's, with its interval; see bootstrap.Difference.

    rmse_all is over all test rows, by the biases where a model lacks the user or the movie; rmse_warm over the rows
    that both models know.

    Args:
        model: trained on `train`.
        other: the other one.
        train: rows for the biases.
        test: rows that judge.
        params: gate_metric, bias_damping, bootstrap_samples, bootstrap_seed.
    """
    ours, theirs = (one.predict(test.users, test.movies) for one in (model, other))
    if params["gate_metric"] == "rmse_all":
        kept = train.where(known(model, train))
        fitted = biases.fit(kept.user_index, kept.movie_index, kept.ratings, params["bias_damping"])
        fallback = fitted.predict(test.user_index, test.movie_index)
        ours, theirs = (np.where(np.isnan(found), fallback, found) for found in (ours, theirs))
    else:
        both = ~np.isnan(ours) & ~np.isnan(theirs)
        ours, theirs = (np.where(both, found, np.nan) for found in (ours, theirs))
    systems = {"ours": errors(ours, test), "theirs": errors(theirs, test)}
    found = bootstrap.resample(systems, params["bootstrap_samples"], params["bootstrap_seed"])
    return plain(bootstrap.differences(found["ours"], found["theirs"])["rmse"])


def known(model: Model, rows: Rows) -> BoolArray:
    """Rows whose user and movie the model knows."""
    return model.users.positions(rows.users)[1] & model.movies.positions(rows.movies)[1]


def errors(predicted: Float64Array, test: Rows) -> UserSums:
    users, user_of_row = distinct(test)
    return rating_sums(test.ratings, predicted, user_of_row, len(users))
