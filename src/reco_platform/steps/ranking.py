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


def chosen_kind(task: Task) -> shaping.Kind:
    """The model to train; `auto` is decided by the numbers of ratings and movies in all folds."""
    if task.params["ranking_model"] != shaping.AUTO:
        return shaping.choose_kind(task.params, 0, 0)
    folds = task.inputs["interactions"].facts["folds"]
    movies = folds["train"]["movies"] + folds["validation"]["cold_movies"] + folds["test"]["cold_movies"]
    return shaping.choose_kind(task.params, task.inputs["interactions"].rows, movies)


def chosen_engine(task: Task, kind: str) -> training_engine.Choice:
    return shaping.choose_engine(task.params | {"ranking_model": kind}, task.inputs["interactions"].rows)


def needs_spark(task: Task) -> bool:
    return chosen_engine(task, chosen_kind(task).name).engine == "spark-ml"


def train_and_publish(task: Task, folds: Collection[str], **variant: Any) -> Receipt:
    """Trains the configured ranking model on some folds, and publishes it.

    Args:
        task: with the input interactions.
        folds: names of the folds to train on.
        variant: distinguishes the model from others with the same parameters, such as refit=True.
    """
    kind = chosen_kind(task)
    choice = chosen_engine(task, kind.name)
    shaping_params = shaping.shaping_params(task.params | {"ranking_model": kind.name}, choice.engine) | variant
    task.log(f"{kind.name}: {kind.reason}; engine {choice.engine}: {choice.reason}")
    facts = {"ranking_model": kind.name, "chosen_because": kind.reason}
    if kind.name not in {"implicit", "popular"}:
        return train_item_weights(task, kind.name, folds, shaping_params, facts)
    if choice.engine == "spark-ml":
        trained, stats = train_by_spark(task, folds, als_spark.train_implicit, ["rating_ts"])
    else:
        trained, stats = train_factors(task, kind.name, folds)
    return publish_model(task, trained, stats, shaping_params, facts)


def train_factors(task: Task, kind: str, folds: Collection[str]) -> tuple[TrainedModel, TrainingStats]:
    """Trains a model that is stored as factors, on this machine."""
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415  # restoring needs no compiled code
    from reco_platform.models.ranking import implicit, popular  # noqa: PLC0415

    rows = training_rows(task, folds, interactions.COLUMNS)
    if kind == "popular":
        return TrainedModel(popular.train(rating_arrays(rows), task.params), []), training_stats(rows)
    return implicit.train(rows, task.params, threads=task.threads, log=task.log), training_stats(rows)


def train_item_weights(
    task: Task, kind: str, folds: Collection[str], shaping_params: dict[str, Any], facts: dict[str, Any]
) -> Receipt:
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.models.ranking import item_weights, models  # noqa: PLC0415

    rows = rating_arrays(training_rows(task, folds, interactions.COLUMNS))
    model = models.train_item_weights(kind, rows, task.params, task.threads)
    users = len(models.users_with_lists(model, rows, task.params))
    sizes = {"users": users, "movies": len(model.movies.ids), "ratings": len(rows.ratings), "objective": []}
    return publish_files(task, partial(item_weights.write_item_weights, model), shaping_params, facts | sizes)


def fit(
    task: Task,
    rows: pa.Table,
    choice: training_engine.Choice,
    callback: Callable[[int, float | None, RankingModel], CallbackResult],
) -> None:
    """Trains the configured ranking model on interactions in memory, as in a trial.

    Args:
        task: with the parameters of the model; its ranking_model is not auto.
        rows: interactions.COLUMNS.
        choice: of the engine.
        callback: called after each iteration of the native ALS, otherwise with the final model only; a model that is
            computed at once has one iteration.
    """
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.models.ranking import implicit, models, popular  # noqa: PLC0415

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
    elif kind == "popular":
        model = popular.train(rating_arrays(rows), task.params)
    else:
        model = models.train_item_weights(kind, rating_arrays(rows), task.params, task.threads)
    report_result(task, callback(iterations, None, model), iterations)
