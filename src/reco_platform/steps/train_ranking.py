"""Trains the model that orders the lists on the train and validation folds."""

from __future__ import annotations

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.splits import interactions
from reco_platform.steps.ranking import train_and_publish


def work(task: Task) -> Receipt:
    return train_and_publish(task, interactions.TRAINING)
