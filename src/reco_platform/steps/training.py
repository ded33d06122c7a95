"""Training for the steps train_als and refit and for trials, with the engine that suits the data size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.engine.task import Task
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import spark as als_spark
from reco_platform.models.als import training, training_engine
from reco_platform.models.als.model import Model
from reco_platform.models.als.training import Callback, CallbackResult, TrainedModel, TrainingStats, no_callback
from reco_platform.spark.session import spark_session
from reco_platform.steps.model_artifact import publish_model, training_rows
from reco_platform.store.paths import StorePath, arrow_sink

SparkTraining = Callable[[Any, Mapping[str, Any], str], tuple[Model, TrainingStats]]
"""Trains on a DataFrame, by parameters; the last argument is the URI of a folder for checkpoints."""


def chosen_engine(task: Task) -> training_engine.Choice:
    return training_engine.choose(task.params, task.inputs["interactions"].rows)


def needs_spark(task: Task) -> bool:
    return chosen_engine(task).engine == "spark-ml"


def train_and_publish(task: Task, folds: Collection[str], **variant: Any) -> Receipt:
    """Trains a model on some folds with the chosen engine, and publishes it.

    Args:
        task: with the input interactions.
        folds: names of the folds to train on.
        variant: distinguishes the model from others with the same parameters, such as refit=True.
    """
    choice = chosen_engine(task)
    task.log(f"engine {choice.engine}: {choice.reason}")
    trained, stats = (train_by_spark if choice.engine == "spark-ml" else train_natively)(task, folds)
    return publish_model(task, trained, stats, training_engine.shaping_params(task.params, choice.engine) | variant)


def train_natively(task: Task, folds: Collection[str]) -> tuple[TrainedModel, TrainingStats]:
    rows = training_rows(task, folds)
    trained = training.train(rows, task.params, threads=task.threads, log=task.log)
    return trained, training.training_stats(rows)


def train_by_spark(
    task: Task, folds: Collection[str], train: SparkTraining = als_spark.train, more_columns: Collection[str] = ()
) -> tuple[TrainedModel, TrainingStats]:
    """Trains with pyspark.ml, on files that the executors read; `more_columns` are those besides ids and rating."""
    session = spark_session(task.step.name, RESULT_SETTINGS, task.log_level)
    with scratch_folder(task) as folder:
        rows = als_spark.interactions(session, task.open("interactions").uris, folds, *more_columns)
        model, stats = train(rows, task.params, folder.absolute().as_uri())
    return TrainedModel(model, []), stats


def fit(task: Task, rows: pa.Table, choice: training_engine.Choice, callback: Callback = no_callback) -> TrainedModel:
    """Trains on ratings in memory, as in a trial.

    Spark reads them from a file, and its callback gets the final model only.
    """
    if choice.engine == "native":
        return training.train(rows, task.params, threads=task.threads, log=task.log, callback=callback)
    model = fit_by_spark(task, rows.select(["user_id", "movie_id", "rating"]), als_spark.train)
    report_result(task, callback(task.params["max_iter"], None, model), task.params["max_iter"])
    return TrainedModel(model, [])


def fit_by_spark(task: Task, rows: pa.Table, train: SparkTraining) -> Model:
    """Trains with pyspark.ml on interactions in memory, which Spark reads from a file."""
    session = spark_session(task.step.name, RESULT_SETTINGS, task.log_level)
    with scratch_folder(task) as folder:
        with arrow_sink(folder / "ratings.parquet") as file:
            pq.write_table(rows, file)
        ratings = session.read.parquet((folder / "ratings.parquet").absolute().as_uri())
        return train(ratings, task.params, folder.absolute().as_uri())[0]


def report_result(task: Task, result: CallbackResult, iteration: int) -> None:
    """Logs what a callback answered for a model that was trained without calling it."""
    if result.message:
        task.log(f"iteration {iteration}{result.message}")


@contextmanager
def scratch_folder(task: Task) -> Iterator[StorePath]:
    """A folder in the lakehouse that executors can read; removed afterwards, or when the step runs again."""
    target = task.root / task.artifact
    yield publish.create_shared_staging_folder(target)
    publish.remove_leftovers(target)
