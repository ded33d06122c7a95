"""Trains the model that is served: on the ratings of all folds, with the parameters of the one that was evaluated."""

import sys

from reco_platform.engine.runner import Task, run
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.splits import interactions
from reco_platform.steps import training


def work(task: Task) -> Receipt:
    return training.make(task, interactions.ALL, layout.als_refit, refit=True)


if __name__ == "__main__":
    sys.exit(run("refit", __doc__, work, training.needs_spark))
