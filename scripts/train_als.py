"""Trains the ALS model on the train and validation folds and saves it in Spark's format, under its model version."""

import sys

from reco_platform import interactions, layout
from reco_platform.als import step
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run


def work(task: Task) -> Receipt:
    return step.make(task, interactions.TRAINING, layout.model)


if __name__ == "__main__":
    sys.exit(run("train_als", __doc__, work, step.needs_spark))
