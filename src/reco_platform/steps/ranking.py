"""Training the model that orders the lists, for the steps train_ranking and refit_ranking and for trials."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import spark as als_spark
from reco_platform.models.als import training_engine
from reco_platform.models.als.training import CallbackResult, TrainedModel, TrainingStats, training_stats
from reco_platform.models.ranking import shaping
from reco_platform.splits import interactions
from reco_platform.steps.model_artifact import publish_files, publish_model, training_rows
from reco_platform.steps.training import fit_by_spark, report_result, train_by_spark

if TYPE_CHECKING:
    from reco_platform.models.ranking.models import RankingModel


def chosen_engine(task: Task) -> training_engine.Choice:
    return shaping.choose_engine(task.params, task.inputs["interactions"].rows)


def needs_spark(task: Task) -> bool:
    return chosen_engine(task).engine == "spark-ml"


def train_and_publish(task: Task, folds: Collection[str], **variant: Any) -> Receipt:
    """Trains the configured ranking model on some folds, and publishes it.

    Args:
        task: with the input interactions.
        folds: names of the folds to train on.
        variant: distinguishes the model from others with the same parameters, such as refit=True.
    """
    kind, choice = task.params["ranking_model"], chosen_engine(task)
    shaping_params = shaping.shaping_params(task.params, choice.engine) | variant
    task.log(f"{kind}, engine {choice.engine}: {choice.reason}")
    if kind != "implicit":
        return train_item_weights(task, kind, folds, shaping_params)
    if choice.engine == "spark-ml":
        trained, stats = train_by_spark(task, folds, als_spark.train_implicit, ["rating_ts"])
    else:
        trained, stats = train_natively(task, folds)
    return publish_model(task, trained, stats, shaping_params)


def train_natively(task: Task, folds: Collection[str]) -> tuple[TrainedModel, TrainingStats]:
    from reco_platform.models.ranking import implicit  # noqa: PLC0415  # restoring needs no compiled code

    rows = training_rows(task, folds, interactions.COLUMNS)
    return implicit.train(rows, task.params, threads=task.threads, log=task.log), training_stats(rows)


def train_item_weights(task: Task, kind: str, folds: Collection[str], shaping_params: dict[str, Any]) -> Receipt:
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.models.ranking import item_weights, models  # noqa: PLC0415

    rows = rating_arrays(training_rows(task, folds, interactions.COLUMNS))
    model = models.train_item_weights(kind, rows, task.params, task.threads)
    users = len(models.users_with_lists(model, rows, task.params))
    facts = {"users": users, "movies": len(model.movies.ids), "ratings": len(rows.ratings), "objective": []}
    return publish_files(task, partial(item_weights.write_item_weights, model), shaping_params, facts)


def fit(
    task: Task,
    rows: pa.Table,
    choice: training_engine.Choice,
    callback: Callable[[int, float | None, RankingModel], CallbackResult],
) -> None:
    """Trains the configured ranking model on interactions in memory, as in a trial.

    Args:
        task: with the parameters of the model.
        rows: interactions.COLUMNS.
        choice: of the engine.
        callback: called after each iteration of the native ALS, otherwise with the final model only; a model that is
            computed at once has one iteration.
    """
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.models.ranking import implicit, models  # noqa: PLC0415

    kind, iterations = task.params["ranking_model"], 1
    if kind == "implicit" and choice.engine == "native":
        implicit.train(rows, task.params, threads=task.threads, log=task.log, callback=callback)
        return
    model: RankingModel
    if kind == "implicit":
        iterations = task.params["ranking_max_iter"]
        model = fit_by_spark(
            task, rows.select(["user_id", "movie_id", "rating", "rating_ts"]), als_spark.train_implicit
        )
    else:
        model = models.train_item_weights(kind, rating_arrays(rows), task.params, task.threads)
    report_result(task, callback(iterations, None, model), iterations)
