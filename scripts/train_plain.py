"""Trains plain ALS, a baseline: without biases, by the native engine, on the ratings of the model that is evaluated."""

import sys

from reco_platform.engine.runner import Task, run
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import engine as als_engine
from reco_platform.models.als import training
from reco_platform.splits import interactions


def work(task: Task) -> Receipt:
    rows = training.rows_for(task, interactions.TRAINING)
    shaping = als_engine.shaping({**task.params, "biased": False}, "native")
    return training.publish(task, training.natively(task, rows), training.data_of(rows), shaping, layout.als_plain)


if __name__ == "__main__":
    sys.exit(run("train_plain", __doc__, work))
