"""Trains the ALS model on all of the training data and saves it in Spark's format, under its model version."""

import sys

from reco_platform import layout, storage
from reco_platform.als.model import model_fingerprint, read_model
from reco_platform.als.spark import train
from reco_platform.digests import short
from reco_platform.receipts import Receipt
from reco_platform.session import spark_session
from reco_platform.steps import Task, run


def work(task: Task) -> Receipt:
    opened = task.open("interactions")
    interactions = task.inputs["interactions"]
    model_version = f"{short(task.values)}-{interactions.fingerprint[:8]}"
    path = layout.model(model_version)
    staging = storage.staging_folder(task.root / path)
    spark = spark_session("train_als", task.log_level)
    train(spark, opened.files, interactions.rows, task.values, staging)
    model = read_model(staging)
    found = model_fingerprint(staging)
    storage.publish_folder(staging, task.root / path, fingerprint=found, rows=len(model.users.ids))
    facts = {"model_version": model_version, "users": len(model.users.ids), "movies": len(model.movies.ids)}
    return Receipt(task.artifact, "model", path, "spark-ml", None, facts["users"], "", found, facts)


if __name__ == "__main__":
    sys.exit(run("train_als", __doc__, work))
