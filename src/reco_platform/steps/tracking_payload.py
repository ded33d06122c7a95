"""The parameters, metrics, tags and files of a run that are logged to MLflow, and their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reco_platform.engine.provenance import git_commit
from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import RECEIPT
from reco_platform.tuning.fits import trial_model

HEADLINE_METRICS = ("rmse", "test_count", "predictions_count", "coverage", "cold_count", "cold_share")
EXCLUDED_PARAMS = ("registered_model", "mlflow_tracking_uri", "storage_format")


def logged_params(values: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters by name; hyperparameters as the training engine used them, ranking_model as it was chosen."""
    found = {**values, **metrics["hyperparameters"]}
    if metrics["ranking"]:
        found["ranking_model"] = metrics["ranking"]["hyperparameters"]["ranking_model"]
    return {key: value for key, value in found.items() if key not in EXCLUDED_PARAMS and value is not None}


def logged_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """All metrics by a flat name: rmse, als/rmse_all, als/rmse_all_low, popular/ndcg_at_10.

    Intervals are included for all metrics of the model and for the compared metrics of every system.
    """
    evaluation = metrics["evaluation"]
    found = {name: evaluation[name] for name in HEADLINE_METRICS}
    ours = {"als", evaluation["ranking_system"]}
    compared = {verdict["metric"] for verdict in evaluation["verdicts"]}
    for system, numbers in evaluation["systems"].items():
        for name, number in numbers.items():
            bounds = ("low", "high") if system in ours or name in compared else ()
            found |= {key: number[of] for key, of in metric_names(f"{system}/{name}", bounds)}
    found |= {name: metrics["training"][name] for name in ("users", "movies", "ratings")}
    return {name: float(value) for name, value in found.items() if value is not None}


def metric_names(name: str, bounds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The flat names of a metric's value and bounds."""
    yield metric_name(name), "value"
    for bound in bounds:
        yield f"{metric_name(name)}_{bound}", bound


def run_tags(task: Task, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The run's inputs, by fingerprint and version."""
    return {
        "model_version": metrics["model_version"],
        "served_version": metrics["served_version"],
        "dataset": task.dataset,
        "interactions": task.inputs["interactions"].fingerprint,
        "model": task.inputs["model"].fingerprint,
        "recommendations": task.inputs["recommendations"].fingerprint,
        "storage_format": metrics["dataset_info"]["storage_format"],
        "git_commit": git_commit() or "unknown",
    }


def logged_dataset(task: Task, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The interactions as an MLflow data set: their fingerprint is its digest."""
    table = task.inputs["interactions"]
    profile = {key: value for key, value in metrics["dataset_info"]["split_info"].items() if isinstance(value, int)}
    return {
        "name": task.dataset,
        "digest": table.fingerprint,
        "source": table.path,
        "context": "training",
        "profile": {"rows": table.rows, "version": table.version, **profile},
    }


def logged_files(task: Task) -> list[tuple[Path, str]]:
    """The files to log with the run, each with its artifact folder."""
    single = [task.path(name) for name in ("run_metrics", "gate", "report")]
    records = task.lakehouse.records
    config = records / "config.resolved.json"
    receipts = [path for path in sorted(records.rglob(f"*{RECEIPT}")) if path != task.receipt_path]
    return [
        *((path, "") for path in (*single, config) if path.is_file()),
        *((path, f"receipts/{path.parent.relative_to(records)}") for path in receipts if "sweeps" not in path.parts),
    ]


def logged_trials(leaderboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trials of a sweep: id, parameters, metrics, validation scores by iteration, and the error if it failed."""
    name = metric_name(leaderboard["metric"])
    return [
        {
            # trials of one fit share its id
            "id": f"{line['trial']}-{trial_model(line['params']).iterations(line['params'])}",
            "params": line["params"],
            "metrics": {key: float(line[of]) for key, of in trial_metric_names(name) if line[of] is not None},
            "curve": {f"{name}_by_iteration": [score["value"] for score in line["curve"]]},
            "error": line["error"],
        }
        for line in leaderboard["trials"]
    ]


def trial_metric_names(name: str) -> Iterator[tuple[str, str]]:
    yield from metric_names(name, ("low", "high"))
    yield from ((key, key) for key in ("place", "iteration", "seconds", "peak_memory_mb"))


def metric_name(name: str) -> str:
    """A metric's name, with only the characters that MLflow allows."""
    return re.sub(r"[^\w./ -]", "_", name.replace("@", "_at_"))
