"""Training as a step: the model that config describes, on some of the folds, by the engine that suits."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pyarrow as pa

from reco_platform.als import engine, spark, training
from reco_platform.als.training import Trained, Watch, unwatched
from reco_platform.receipts import Receipt
from reco_platform.session import spark_session
from reco_platform.steps import Task


def chosen(task: Task) -> engine.Choice:
    return engine.choose(task.params, task.inputs["interactions"].rows)


def needs_spark(task: Task) -> bool:
    return chosen(task).engine == "spark-ml"


def fit(task: Task, rows: pa.Table, choice: engine.Choice, watch: Watch = unwatched) -> Trained:
    """The model of a step's parameters, on residuals if it is biased."""
    solve = by_spark if choice.engine == "spark-ml" else training.natively
    return training.on_residuals(task, rows, solve, watch) if task.params["biased"] else solve(task, rows, watch)


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
    rows = training.rows_for(task, folds)
    trained = fit(task, rows, choice)
    return training.publish(task, trained, rows, engine.shaping(task.params, choice.engine) | trial, place)


def by_spark(task: Task, rows: pa.Table, watch: Watch = unwatched) -> Trained:
    """Training by pyspark.ml, which shows nothing before its end."""
    model = spark.train(spark_session(task.step.name, task.log_level), rows, task.params)
    look = watch(task.params["max_iter"], None, model)
    if look.said:
        task.log(f"iteration {task.params['max_iter']}{look.said}")
    return Trained(model, [])
