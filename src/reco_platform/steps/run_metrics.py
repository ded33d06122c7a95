"""A JSON file with the model, its data, its metrics, and its recommendations."""

import json
import time
from collections.abc import Mapping
from typing import Any

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import training_engine
from reco_platform.models.ranking import shaping
from reco_platform.steps.model_artifact import ranking_kind, run_version


def work(task: Task) -> Receipt:
    model, ranking = task.inputs["model"], task.inputs["ranking"]
    version, served = run_version(task), task.inputs["served_model"].facts["model_version"]
    split = task.inputs["interactions"].facts
    metrics = {
        "model_version": version,
        "served_version": served,
        "refit": served != ranking.facts["model_version"],
        "chosen_by": task.params["chosen_by"],
        "execution_ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "hyperparameters": {
            **training_engine.shaping_params(task.params, model.facts["engine"]),
            "cold_start_strategy": task.params["cold_start_strategy"],
        },
        "dataset_info": {
            "dataset": task.dataset,
            "storage_format": task.params["storage_format"],
            "interactions_fingerprint": task.inputs["interactions"].fingerprint,
            "split_info": {**split, "total_count": split["train_count"] + split["test_count"]},
        },
        "training": training_facts(model),
        "ranking": None if ranking.artifact == model.artifact else ranking_facts(task),
        "evaluation": json.loads(task.path("evaluation").read_text(encoding="utf-8")),
        "recommendations": list_counts(task, split),
    }
    text = json.dumps(metrics, indent=1, allow_nan=False) + "\n"
    return task.publish_file(text, {"model_version": version}, version)


def list_counts(task: Task, split: Mapping[str, Any]) -> dict[str, int]:
    """The length of the lists, and how many users have a list of their own, one of popular movies, or none."""
    folds, own = split["folds"], task.inputs["recommendations"].rows
    others = folds["train"]["users"] + folds["validation"]["cold_users"] + folds["test"]["cold_users"] - own
    popular = others if task.params["fallback_lists"] else 0
    return {"top_n": task.params["top_n"], "users": own, "popular_users": popular, "other_users": others - popular}


def training_facts(model: Receipt) -> dict[str, Any]:
    omitted = {"model_version", "engine", "ranking_model", "chosen_because"}
    return {key: value for key, value in model.facts.items() if key not in omitted}


def ranking_facts(task: Task) -> dict[str, Any]:
    """The version, the parameters and the training of the ranking model, and why it is of its kind."""
    model, params = task.inputs["ranking"], task.params | {"ranking_model": ranking_kind(task)}
    return {
        "model_version": model.facts["model_version"],
        "chosen_because": model.facts["chosen_because"],
        "hyperparameters": shaping.shaping_params(params, model.facts["engine"]),
        "training": training_facts(model),
    }
