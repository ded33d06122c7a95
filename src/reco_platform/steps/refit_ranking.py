"""Trains the served ranking model on the ratings of all folds, with the parameters of the evaluated one."""

from __future__ import annotations

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.splits import interactions
from reco_platform.steps.ranking import train_and_publish


def work(task: Task) -> Receipt:
    return train_and_publish(task, interactions.FOLDS, refit=True)
