"""Trains the ALS model on all of the training data and saves it in Spark's format, under its model version."""

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reco_platform import layout, storage
from reco_platform.als import engine, spark
from reco_platform.als.model import Model, Side, model_fingerprint, read_model, write_model
from reco_platform.digests import short
from reco_platform.receipts import Receipt
from reco_platform.session import spark_session
from reco_platform.steps import Task, run

COLUMNS = {"userCol": "user_id", "itemCol": "movie_id", "coldStartStrategy": "drop"}


def chosen(task: Task) -> engine.Choice:
    return engine.choose(task.params, task.inputs["interactions"].rows)


def needs_spark(task: Task) -> bool:
    return chosen(task).engine == "spark-ml"


def work(task: Task) -> Receipt:
    choice, interactions = chosen(task), task.inputs["interactions"]
    task.log(f"engine {choice.engine}: {choice.why}")
    shaping = engine.shaping(task.params, choice.engine)
    model_version = f"{short(shaping)}-{interactions.fingerprint[:8]}"
    path = layout.model(model_version)
    staging = storage.staging_folder(task.root / path)
    train = train_by_spark if choice.engine == "spark-ml" else train_natively
    train(task, staging)
    model = read_model(staging)
    found = model_fingerprint(staging)
    storage.publish_folder(staging, task.root / path, fingerprint=found, rows=len(model.users.ids))
    facts = {
        "model_version": model_version,
        "engine": choice.engine,
        "users": len(model.users.ids),
        "movies": len(model.movies.ids),
    }
    rows = len(model.users.ids)
    return Receipt(task.artifact, "model", path, choice.engine, None, rows, "", found, facts)


def train_by_spark(task: Task, staging: Path) -> None:
    files, rows = task.open("interactions").files, task.inputs["interactions"].rows
    spark.train(spark_session("train_als", task.log_level), files, rows, task.values, staging)


def train_natively(task: Task, staging: Path) -> None:
    from reco_platform.als import native  # noqa: PLC0415  # a restore needs no compiled code
    from reco_platform.als.ratings import ratings  # noqa: PLC0415

    columns = ["user_id", "movie_id", "user_index", "movie_index", "rating"]
    train = task.open("interactions").dataset().to_table(columns, filter=pc.field("fold") != "test")
    users, movies = train["user_index"].to_numpy(), train["movie_index"].to_numpy()
    started = time.monotonic()
    task.log(f"{len(train):,} ratings, {task.threads} threads")
    factors = native.train(
        ratings(users, movies, train["rating"].to_numpy()),
        rank=task.params["rank"],
        max_iter=task.params["max_iter"],
        reg_param=task.params["reg_param"],
        seed=task.params["seed"],
        solver=task.params["solver"],
        nonnegative=task.params["nonnegative"],
        threads=task.threads,
        callback=lambda iteration, objective, *_: report(task, iteration, objective / len(train), started),
    )
    model = Model(
        Side(ids_of(factors.user_index, users, train["user_id"]), factors.users),
        Side(ids_of(factors.movie_index, movies, train["movie_id"]), factors.movies),
    )
    write_model(model, staging, {**COLUMNS, "ratingCol": "rating", "rank": task.params["rank"]})


def report(task: Task, iteration: int, loss: float, started: float) -> None:
    elapsed = time.monotonic() - started
    left = elapsed / iteration * (task.params["max_iter"] - iteration)
    at = f"iteration {iteration}/{task.params['max_iter']}"
    task.log(f"{at}: objective {loss:.5f} a rating, {elapsed:.1f} s, {left:.1f} s left")


def ids_of(wanted: np.ndarray, index: np.ndarray, ids: pa.ChunkedArray) -> np.ndarray:
    """The ids of dense indexes, shape as `wanted`."""
    found = np.zeros(int(index.max()) + 1, np.int32)
    found[index] = ids.to_numpy()
    return found[wanted]


if __name__ == "__main__":
    sys.exit(run("train_als", __doc__, work, needs_spark))
