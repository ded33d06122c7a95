"""Trains ALS without biases, a baseline, with the native engine on the ratings of the evaluated model."""

from __future__ import annotations

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import training, training_engine
from reco_platform.splits import interactions
from reco_platform.steps.model_artifact import publish_model, training_rows


def work(task: Task) -> Receipt:
    rows = training_rows(task, interactions.TRAINING)
    params = {**task.params, "biased": False}
    trained = training.train(rows, params, threads=task.threads, log=task.log)
    return publish_model(task, trained, training.training_stats(rows), training_engine.shaping_params(params, "native"))
