"""One metric of a model on the validation fold, after each iteration: the same number that the evaluation computes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import Float64Array
from reco_platform.core.errors import DataError
from reco_platform.evaluation import bootstrap, ranking_metrics
from reco_platform.evaluation.dataset import (
    EvaluationDataset,
    Rows,
    best_of,
    evaluation_dataset,
    for_all,
    relevant_rows,
    seen_by,
)
from reco_platform.evaluation.evaluate import ranked_of, rating_of, wanted_of
from reco_platform.evaluation.user_sums import UserSums, figures, joined
from reco_platform.models import biases
from reco_platform.models.als.model import Model
from reco_platform.models.als.training import CallbackResult
from reco_platform.models.topn.exact import Seen


@dataclass(frozen=True)
class ValidationContext:
    """What stays the same from iteration to iteration.

    Attributes:
        scene: both folds as the model sees them.
        fallback: what the biases predict for each validation row.
        wanted: the relevant movies of each validation user.
        seen: what each warm one has rated in training.
    """

    scene: EvaluationDataset
    fallback: Float64Array
    wanted: ranking_metrics.Relevant
    seen: Seen


def validation_context(
    model: Model, train: Rows, validation: Rows, genres: pa.Table, params: Mapping[str, Any]
) -> ValidationContext:
    """As the evaluation has it, with the validation fold in the place of the test fold."""
    scene = evaluation_dataset(model, train, validation, genres)
    known = scene.train
    fitted = biases.fit(known.user_index, known.movie_index, known.ratings, params["bias_damping"])
    relevant = relevant_rows(scene, params["relevance"], params["relevant_rating"])
    fallback = fitted.predict(validation.user_index, validation.movie_index)
    return ValidationContext(scene, fallback, wanted_of(scene, relevant), seen_by(scene))


def judged(model: Model, ground: ValidationContext, name: str, threads: int) -> UserSums:
    """One metric of a model.

    Raises:
        DataError: if the catalogue is smaller than the lists that are to be judged.
    """
    scene = ground.scene
    if "@" not in name:
        values = model.predict(scene.test.users, scene.test.movies)
        return only(rating_of(values, ground.fallback, scene), name)
    k = int(name.partition("@")[2])
    if k > len(scene.movies):
        raise DataError(f"the model knows only {len(scene.movies):,} movies, and sweep_metric is {name}")
    lists = for_all(best_of(model, scene, ground.seen, k, threads), scene)
    return only(ranked_of(lists, ground.wanted, scene, (k,)), name)


def only(sums: UserSums, name: str) -> UserSums:
    """One of the metrics."""
    at = [metric.name for metric in sums.metrics].index(name)
    over = sums.over[at]
    return UserSums((sums.metrics[at],), sums.numerators[:, at : at + 1], sums.denominators[:, over : over + 1], (0,))


class Judge:
    """Judges a model after each iteration of its training.

    Args:
        train: the rows that it is trained on.
        validation: the rows that judge it.
        genres: movie_id and genres of the movies.
        params: sweep_metric, patience, relevance, relevant_rating, bias_damping, bootstrap_samples, bootstrap_seed.
        threads: never change a score.
    """

    def __init__(
        self, train: Rows, validation: Rows, genres: pa.Table, params: Mapping[str, Any], threads: int
    ) -> None:
        self.folds = (train, validation, genres)
        self.params, self.threads = params, threads
        self.started = time.monotonic()
        self.ground: ValidationContext | None = None
        self.sums: list[UserSums] = []
        self.lines: list[dict[str, Any]] = []

    def watch(self, iteration: int, objective: float | None, model: Model) -> CallbackResult:
        """Scores a model; training is to end when `patience` iterations have brought no better score.

        Raises:
            DataError: if the metric is not defined, with the reason.
        """
        metric = self.params["sweep_metric"]
        self.ground = self.ground or validation_context(model, *self.folds, self.params)
        found = judged(model, self.ground, metric, self.threads)
        figure = figures(found)[metric]
        if figure.value is None:
            raise DataError(f"{metric} is not defined on the validation fold: {figure.missing_because}")
        self.sums.append(found)
        loss = None if objective is None else float(f"{objective:.10g}")
        seconds = round(time.monotonic() - self.started, 3)
        self.lines.append({"iteration": iteration, "objective": loss, "value": figure.value, "seconds": seconds})
        patience = self.params["patience"]
        enough = patience is not None and len(self.lines) - 1 - self.best_place >= patience
        return CallbackResult(f", {metric} {figure.value:.5f} on validation{', ends early' if enough else ''}", enough)

    @property
    def smaller_is_better(self) -> bool:
        return self.sums[0].metrics[0].smaller_is_better

    @property
    def best_place(self) -> int:
        """Where in the lines the best score stands, the first of equal ones."""
        values = np.array([line["value"] for line in self.lines])
        return int(values.argmin() if self.smaller_is_better else values.argmax())

    def scores(self) -> list[dict[str, Any]]:
        """Iteration, objective, value, interval and seconds so far, of each iteration."""
        system = bootstrap.resample(
            {"all": numbered(self.sums)}, self.params["bootstrap_samples"], self.params["bootstrap_seed"]
        )["all"]
        found = bootstrap.intervals(system).values()
        return [{**line, "low": one.low, "high": one.high} for line, one in zip(self.lines, found, strict=True)]


def numbered(sums: list[UserSums]) -> UserSums:
    """The same metric of several models as metrics of different names."""
    whole = joined(sums)
    names = range(len(whole.metrics))
    metrics = (
        type(metric)(f"{metric.name} {number}", metric.root)
        for number, metric in zip(names, whole.metrics, strict=True)
    )
    return UserSums(tuple(metrics), whole.numerators, whole.denominators, whole.over)
