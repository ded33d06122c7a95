"""Logs the run to MLflow: parameters, metrics, the data set, receipts and reports."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.steps.model_artifact import run_version
from reco_platform.steps.tracking_payload import logged_dataset, logged_files, logged_metrics, logged_params, run_tags
from reco_platform.store.json_file import read_json
from reco_platform.tracking import client as tracking


def work(task: Task) -> Receipt:
    gate = read_json(task.path("gate"))
    if gate["state"] == "untracked":  # the gate has already warned
        return publish(task, {"tracked": False, "reason": gate["reason"]})
    return publish(task, tracking.log_or_warn(partial(log, task), task.log))


def publish(task: Task, facts: dict[str, Any]) -> Receipt:
    version = run_version(task)
    facts = {"model_version": version, **facts}
    return task.publish_file(json.dumps(facts, indent=1) + "\n", facts, version)


def log(task: Task) -> None:
    """Creates or updates the MLflow run of this model version.

    Raises:
        TrackingError: if the store cannot be reached.
    """
    metrics = read_json(task.path("run_metrics"))
    files = logged_files(task)
    with tracking.Session() as store:
        done = store.call(
            "log_run",
            transfer=tracking.upload_bytes([path for path, _ in files]),
            model_version=metrics["model_version"],
            params=logged_params(task.values, metrics),
            metrics=logged_metrics(metrics),
            curve={"objective": metrics["training"]["objective"]},
            tags=run_tags(task, metrics),
            dataset=logged_dataset(task, metrics),
            files=[[str(path), folder] for path, folder in files],
        )
    task.log(f"logged as run {done['run_id']}")
