"""What of a run is logged to MLflow, and under which names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reco_platform.engine.provenance import git_commit
from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import RECEIPT

HEADLINES = ("rmse", "test_count", "predictions_count", "coverage", "cold_count", "cold_share")
UNLOGGED = ("registered_model", "mlflow_tracking_uri", "storage_format")


def params_of(values: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter by name; those of the engine that trained as it took them."""
    found = {**values, **metrics["hyperparameters"]}
    return {key: value for key, value in found.items() if key not in UNLOGGED and value is not None}


def metrics_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Every number by a flat name: rmse, als/rmse_all, als/rmse_all_low, popular/ndcg_at_10.

    Intervals are those of the model itself, and of every system's headline metrics.
    """
    evaluation = metrics["evaluation"]
    found = {name: evaluation[name] for name in HEADLINES}
    compared = {verdict["metric"] for verdict in evaluation["verdicts"]}
    for system, numbers in evaluation["systems"].items():
        for name, number in numbers.items():
            bounds = ("low", "high") if system == "als" or name in compared else ()
            found |= {key: number[of] for key, of in names(f"{system}/{name}", bounds)}
    found |= {name: metrics["training"][name] for name in ("users", "movies", "ratings")}
    return {name: float(value) for name, value in found.items() if value is not None}


def names(name: str, bounds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The flat names of a metric's value and bounds."""
    yield flat(name), "value"
    for bound in bounds:
        yield f"{flat(name)}_{bound}", bound


def tags_of(task: Task, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What the run was made from, by fingerprint and version."""
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


def dataset_of(task: Task, metrics: Mapping[str, Any]) -> dict[str, Any]:
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


def files_of(task: Task) -> list[tuple[Path, str]]:
    """The files that are kept with the run, each with its folder there."""
    single = [task.path(name) for name in ("run_metrics", "gate", "report")]
    records = task.lakehouse.records
    config = records / "config.resolved.json"
    receipts = [path for path in sorted(records.rglob(f"*{RECEIPT}")) if path != task.receipt_path]
    return [
        *((path, "") for path in (*single, config) if path.is_file()),
        *((path, f"receipts/{path.parent.relative_to(records)}") for path in receipts if "sweeps" not in path.parts),
    ]


def trials_of(leaderboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trials of a sweep: id, parameters, metrics, the curve of validation scores, and the error of a failed one."""
    name = flat(leaderboard["metric"])
    return [
        {
            "id": f"{line['trial']}-{line['params']['max_iter']}",  # trials of one fit share its id
            "params": line["params"],
            "metrics": {key: float(line[of]) for key, of in measured(name) if line[of] is not None},
            "curve": {f"{name}_by_iteration": [score["value"] for score in line["curve"]]},
            "error": line["error"],
        }
        for line in leaderboard["trials"]
    ]


def measured(name: str) -> Iterator[tuple[str, str]]:
    yield from names(name, ("low", "high"))
    yield from ((key, key) for key in ("place", "iteration", "seconds", "peak_memory_mb"))


def flat(name: str) -> str:
    """A metric's name in characters that MLflow allows."""
    return re.sub(r"[^\w./ -]", "_", name.replace("@", "_at_"))
