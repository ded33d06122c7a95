"""Trains plain ALS, a baseline: without biases, by the native engine, on the ratings of the model that is evaluated."""

import sys

from reco_platform import interactions, layout
from reco_platform.als import engine, training
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run


def work(task: Task) -> Receipt:
    rows = training.rows_for(task, interactions.TRAINING)
    shaping = engine.shaping({**task.params, "biased": False}, "native")
    return training.publish(task, training.natively(task, rows), training.data_of(rows), shaping, layout.als_plain)


if __name__ == "__main__":
    sys.exit(run("train_plain", __doc__, work))
