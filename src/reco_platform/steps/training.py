"""Training as a step: the model that config describes, on some of the folds, by the engine that suits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.engine.runner import Task
from reco_platform.lakehouse import publishing
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import engine as als_engine
from reco_platform.models.als import spark as als_spark
from reco_platform.models.als import training
from reco_platform.models.als.training import Data, Trained, Watch, unwatched
from reco_platform.spark.session import spark_session
from reco_platform.store.paths import StorePath, arrow_sink


def chosen(task: Task) -> als_engine.Choice:
    return als_engine.choose(task.params, task.inputs["interactions"].rows)


def needs_spark(task: Task) -> bool:
    return chosen(task).engine == "spark-ml"


def make(task: Task, folds: Collection[str], place: Callable[[str], str], **trial: Any) -> Receipt:
    """Trains, saves, and gives the receipt.

    Args:
        task: with the input interactions.
        folds: whose rows to train on.
        place: the folder of a model version, relative to the lakehouse.
        trial: what tells this model from another of the same parameters.
    """
    choice = chosen(task)
    task.log(f"engine {choice.engine}: {choice.why}")
    trained, data = (by_spark if choice.engine == "spark-ml" else natively)(task, folds)
    return training.publish(task, trained, data, als_engine.shaping(task.params, choice.engine) | trial, place)


def natively(task: Task, folds: Collection[str]) -> tuple[Trained, Data]:
    rows = training.rows_for(task, folds)
    return in_threads(task, rows), training.data_of(rows)


def by_spark(task: Task, folds: Collection[str]) -> tuple[Trained, Data]:
    """Training by pyspark.ml, on files that executors read."""
    session = spark_session(task.step.name, task.log_level)
    with scratch(task) as folder:
        rows = als_spark.interactions(session, task.open("interactions").uris, folds)
        model, data = als_spark.train(rows, task.params, folder.absolute().as_uri())
    return Trained(model, []), data


def fit(task: Task, rows: pa.Table, choice: als_engine.Choice, watch: Watch = unwatched) -> Trained:
    """The model of ratings that are at hand, as those of a trial are: Spark gets them by a file, and shows its end."""
    if choice.engine == "native":
        return in_threads(task, rows, watch)
    session = spark_session(task.step.name, task.log_level)
    with scratch(task) as folder:
        with arrow_sink(folder / "ratings.parquet") as file:
            pq.write_table(rows.select(["user_id", "movie_id", "rating"]), file)
        ratings = session.read.parquet((folder / "ratings.parquet").absolute().as_uri())
        model, _ = als_spark.train(ratings, task.params, folder.absolute().as_uri())
    look = watch(task.params["max_iter"], None, model)
    if look.said:
        task.log(f"iteration {task.params['max_iter']}{look.said}")
    return Trained(model, [])


def in_threads(task: Task, rows: pa.Table, watch: Watch = unwatched) -> Trained:
    """Training by this process, on residuals if the model is biased."""
    if task.params["biased"]:
        return training.on_residuals(task, rows, training.natively, watch)
    return training.natively(task, rows, watch)


@contextmanager
def scratch(task: Task) -> Iterator[StorePath]:
    """A folder in the lakehouse, which executors see too; gone afterwards, or when the step runs again."""
    target = task.root / task.artifact
    yield publishing.shared_folder(target)
    publishing.clean_up(target)
