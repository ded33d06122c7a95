"""One metric of a model on the validation fold after each training iteration, as the evaluation computes it.

The rating model is scored by its predictions and lists, a ranking model by its lists alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import Float64Array, Int32Array
from reco_platform.core.errors import DataError
from reco_platform.evaluation import bootstrap, ranking_metrics
from reco_platform.evaluation.dataset import (
    EvaluationDataset,
    RatingArrays,
    evaluation_dataset,
    relevant_by_user,
    relevant_rows,
)
from reco_platform.evaluation.evaluate import ranking_metric_sums, rating_metric_sums
from reco_platform.evaluation.half_life import HALF_LIVES, choose_half_life
from reco_platform.evaluation.settings import RATING_SYSTEM, Settings, settings_from_params
from reco_platform.evaluation.systems import lists_for_all_users, ranking_model_lists, seen_in_training, top_n_lists
from reco_platform.evaluation.user_sums import UserSums, concatenate, metric_values
from reco_platform.models import biases
from reco_platform.models.als.model import Model, Side
from reco_platform.models.als.training import CallbackResult
from reco_platform.models.ranking.models import RankingModel
from reco_platform.models.topn.exact import Seen


@dataclass(frozen=True)
class ValidationContext:
    """What does not change from one iteration to the next.

    Attributes:
        dataset: the train and validation folds, matched with the users and movies of the training ratings.
        fallback: the prediction of the biases for each validation rating.
        relevant: the relevant movies of each validation user.
        seen: the movies that each warm validation user has rated in training.
        settings: of the evaluation.
    """

    dataset: EvaluationDataset
    fallback: Float64Array
    relevant: ranking_metrics.RelevantItems
    seen: Seen
    settings: Settings


def validation_context(
    train: RatingArrays, validation: RatingArrays, genres: pa.Table, params: Mapping[str, Any], threads: int
) -> ValidationContext:
    """The context of a trial; the validation fold takes the role that the test fold has in the evaluation.

    Args:
        train: ratings that the model is trained on.
        validation: ratings to score it on.
        genres: movie_id and genres of the movies.
        params: see `ValidationScorer`.
        threads: number of threads; never changes a score.
    """
    known_ids = Model(*(Side.without_factors(np.unique(ids)) for ids in (train.users, train.movies)))
    dataset = evaluation_dataset(known_ids, train, validation, genres)
    known = dataset.train
    fitted = biases.fit(known.user_index, known.movie_index, known.ratings, params["bias_damping"])
    relevant = relevant_rows(dataset, params["relevance"], params["relevant_rating"])
    fallback = fitted.predict(validation.user_index, validation.movie_index)
    length = int(params["sweep_metric"].partition("@")[2] or 1)
    half_life = HALF_LIVES[-1]
    if params["ranking_model"] != "explicit":  # the rating model has a list for every warm user
        half_life = choose_half_life(train, validation, params["liked_rating"])
    values = {**params, "diversify": 0.0, "cold_start_strategy": "drop", "evaluation_k": [length]}
    settings = settings_from_params(values, threads, half_life)
    return ValidationContext(
        dataset, fallback, relevant_by_user(dataset, relevant), seen_in_training(dataset), settings
    )


def metric_sums(model: RankingModel, context: ValidationContext, metric: str) -> UserSums:
    """One metric of a model.

    Raises:
        DataError: if the catalogue is smaller than the list length of the metric.
    """
    dataset = context.dataset
    if "@" not in metric and isinstance(model, Model):
        predicted = model.predict(dataset.test.users, dataset.test.movies)
        return select_metric(rating_metric_sums(predicted, context.fallback, dataset), metric)
    k = context.settings.headline_k
    if k > len(dataset.movies):
        raise DataError(f"the model knows only {len(dataset.movies):,} movies, and sweep_metric is {metric}")
    return select_metric(ranking_metric_sums(model_lists(model, context), context.relevant, dataset, (k,)), metric)


def model_lists(model: RankingModel, context: ValidationContext) -> Int32Array:
    """The model's list for each validation user."""
    dataset, settings = context.dataset, context.settings
    if isinstance(model, Model) and settings.ranking_system == RATING_SYSTEM:
        warm_lists = top_n_lists(model, dataset, context.seen, settings.headline_k, settings.threads)
        return lists_for_all_users(warm_lists, dataset)
    return ranking_model_lists(model, dataset, settings)


def select_metric(sums: UserSums, name: str) -> UserSums:
    """One of the metrics alone."""
    column = [metric.name for metric in sums.metrics].index(name)
    divisor = sums.denominator_of[column]
    return UserSums(
        (sums.metrics[column],),
        sums.numerators[:, column : column + 1],
        sums.denominators[:, divisor : divisor + 1],
        (0,),
    )


class ValidationScorer:
    """Scores a model after each iteration of its training, and stops the training with `patience`.

    Args:
        train: ratings that the model is trained on.
        validation: ratings to score it on.
        genres: movie_id and genres of the movies.
        params: of the step trial.
        threads: number of threads; never changes a score.
    """

    def __init__(
        self,
        train: RatingArrays,
        validation: RatingArrays,
        genres: pa.Table,
        params: Mapping[str, Any],
        threads: int,
    ) -> None:
        self.params = params
        self.started = time.monotonic()
        self.context = validation_context(train, validation, genres, params, threads)
        self.sums: list[UserSums] = []
        self.iterations: list[dict[str, Any]] = []

    def callback(self, iteration: int, objective: float | None, model: RankingModel) -> CallbackResult:
        """Scores a model; stops the training if the last `patience` iterations brought no better score.

        Raises:
            DataError: if the metric has no value, with the reason.
        """
        metric = self.params["sweep_metric"]
        sums = metric_sums(model, self.context, metric)
        score = metric_values(sums)[metric]
        if score.value is None:
            raise DataError(f"{metric} has no value on the validation fold: {score.missing_because}")
        self.sums.append(sums)
        loss = None if objective is None else float(f"{objective:.10g}")
        seconds = round(time.monotonic() - self.started, 3)
        self.iterations.append({"iteration": iteration, "objective": loss, "value": score.value, "seconds": seconds})
        patience = self.params["patience"]
        stop = patience is not None and len(self.iterations) - 1 - self.best_index >= patience
        return CallbackResult(f", {metric} {score.value:.5f} on validation{', stops early' if stop else ''}", stop)

    @property
    def smaller_is_better(self) -> bool:
        return self.sums[0].metrics[0].smaller_is_better

    @property
    def best_index(self) -> int:
        """The index of the iteration with the best score, the first of equal ones."""
        values = np.array([entry["value"] for entry in self.iterations])
        return int(values.argmin() if self.smaller_is_better else values.argmax())

    def scores(self) -> list[dict[str, Any]]:
        """Iteration, objective, value, interval and seconds so far, of each iteration."""
        resamples = bootstrap.resample(
            {"all": with_unique_names(self.sums)}, self.params["bootstrap_samples"], self.params["bootstrap_seed"]
        )["all"]
        intervals = bootstrap.intervals(resamples).values()
        return [
            {**entry, "low": interval.low, "high": interval.high}
            for entry, interval in zip(self.iterations, intervals, strict=True)
        ]


def with_unique_names(sums: list[UserSums]) -> UserSums:
    """The same metric of several models as metrics with distinct names."""
    combined = concatenate(sums)
    metrics = tuple(replace(metric, name=f"{metric.name} {number}") for number, metric in enumerate(combined.metrics))
    return replace(combined, metrics=metrics)
