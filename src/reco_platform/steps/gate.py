"""Registers the model, and makes it champion if there is none or if it is significantly better than the champion."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reco_platform.engine.provenance import git_commit
from reco_platform.engine.task import Task
from reco_platform.evaluation.champion_gate import (
    Decision,
    decide_by_difference,
    decide_without_comparison,
    decide_without_factors,
)
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als.model import factors_problem, read_model
from reco_platform.steps.model_artifact import run_version
from reco_platform.tracking import client as tracking

MODEL_FILES = 10  # in a registered model: the factors and what MLflow adds
OFF = "tracking is off: tracking=false"


def work(task: Task) -> Receipt:
    version = run_version(task)
    if not task.params["tracking"]:
        return publish(task, Decision(version, "untracked", OFF), {})
    try:
        return publish(task, decide(task), {"tracked": True})
    except tracking.TrackingError as problem:
        task.log(tracking.warning(problem))
        return publish(task, Decision(version, "untracked", problem.reason), {"tracked": False})


def publish(task: Task, decision: Decision, facts: dict[str, Any]) -> Receipt:
    task.log(f"{decision.state}: {decision.reason}")
    text = json.dumps(decision.to_json(), indent=1, allow_nan=False) + "\n"
    facts = {"model_version": decision.model_version, "state": decision.state, **facts}
    return task.publish_file(text, facts, decision.model_version)


def decide(task: Task) -> Decision:
    """The decision, recorded in the store; the earlier decision if this model was already compared.

    Raises:
        TrackingError: if the store cannot be reached.
    """
    name, candidate_tags = task.params["registered_model"], model_tags(task)
    folder, size = task.path("model"), tables.content_bytes(task.root, task.inputs["model"])
    with tracking.Session() as store, tempfile.TemporaryDirectory(prefix="champion-") as scratch:
        state = store.call(
            "gate_state", name=name, model_version=candidate_tags["model_version"], fingerprint=candidate_tags["model"]
        )
        champion, earlier = state["champion"], state["decision"]
        if earlier and earlier["metric"] in {None, task.params["gate_metric"]}:
            return Decision(**earlier)
        decision = decide_without_comparison(candidate_tags, champion)
        if decision is None:
            found = store.call("download_factors", transfer=size, name=name, number=champion["number"], into=scratch)
            decision = decide_by_comparison(task, candidate_tags, champion, found["folder"])
        store.call(
            "register_model",
            transfer=2 * size + MODEL_FILES * tracking.FILE_BYTES,
            name=name,
            factors=str(folder.resolve()),
            tags=candidate_tags,
            decision=decision.to_json(),
            champion=champion["number"] if champion else None,
        )
    return decision


def model_tags(task: Task) -> dict[str, str]:
    """Tags that identify a registered model."""
    return {
        "model_version": run_version(task),
        "dataset": task.dataset,
        "interactions": task.inputs["interactions"].fingerprint,
        "model": task.inputs["model"].fingerprint,
        "git_commit": git_commit() or "unknown",
    }


def decide_by_comparison(
    task: Task, candidate_tags: Mapping[str, str], champion: Mapping[str, str], folder: str | None
) -> Decision:
    """The decision against a champion; `folder` holds its factors, None if the store no longer has them."""
    from reco_platform.evaluation import dataset as eval_dataset  # noqa: PLC0415
    from reco_platform.evaluation import model_difference  # noqa: PLC0415
    from reco_platform.splits import interactions  # noqa: PLC0415  # restoring needs no compiled code

    factors = Path(folder) if folder else None
    problem = factors_problem(factors, champion["model"])
    if problem or factors is None:
        return decide_without_factors(candidate_tags, champion, str(problem))
    folds = (interactions.TRAINING, (interactions.TEST,))
    parts = interactions.read_parts(task.open("interactions"), eval_dataset.COLUMNS, folds, task.threads)
    train, test = map(eval_dataset.rating_arrays, parts)
    model, other = read_model(task.path("model")), read_model(factors)
    found = model_difference.rmse_difference(model, other, train, test, task.params)
    return decide_by_difference(candidate_tags, champion, task.params["gate_metric"], found)
