"""Trains the model that is served: on the ratings of all folds, with the parameters of the one that was evaluated."""

import sys

from reco_platform import interactions, layout
from reco_platform.als import step
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run


def work(task: Task) -> Receipt:
    return step.make(task, interactions.ALL, layout.als_refit, refit=True)


if __name__ == "__main__":
    sys.exit(run("refit", __doc__, work, step.needs_spark))
