"""Logs a sweep to MLflow: a parent run with one nested run per trial."""

import json
from functools import partial
from typing import Any

from reco_platform.engine.provenance import git_commit
from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.steps.tracking_payload import logged_trials
from reco_platform.store.json_file import read_json
from reco_platform.tracking import client as tracking


def work(task: Task) -> Receipt:
    return publish(task, tracking.log_or_warn(partial(log, task), task.log))


def publish(task: Task, facts: dict[str, Any]) -> Receipt:
    facts = {"sweep": task.path("leaderboard").name, **facts}
    return task.publish_file(json.dumps(facts, indent=1) + "\n", facts)


def log(task: Task) -> None:
    """Creates or updates the MLflow runs of the sweep.

    Raises:
        TrackingError: if the store cannot be reached.
    """
    folder = task.path("leaderboard")
    found = read_json(folder / "leaderboard.json")
    files = [path for name in ("leaderboard.csv", "leaderboard.json", "best.yaml") if (path := folder / name).is_file()]
    with tracking.Session() as store:
        done = store.call(
            "log_sweep",
            transfer=tracking.upload_bytes(files) + tracking.FILE_BYTES * len(found["trials"]),
            name=found["sweep"],
            dataset=found["dataset"],
            tags={"metric": found["metric"], "git_commit": git_commit() or "unknown"},
            trials=logged_trials(found),
            files=[[str(path), ""] for path in files],
        )
    task.log(f"logged as run {done['run_id']}")
