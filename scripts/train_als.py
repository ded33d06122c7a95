"""Trains the ALS model on the train and validation folds and saves it in Spark's format, under its model version."""

import sys

from reco_platform.engine.runner import Task, run
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.splits import interactions
from reco_platform.steps import training


def work(task: Task) -> Receipt:
    return training.make(task, interactions.TRAINING, layout.model)


if __name__ == "__main__":
    sys.exit(run("train_als", __doc__, work, training.needs_spark))
