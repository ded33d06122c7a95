"""The trials of a sweep from best to worst, as CSV, JSON and an HTML page, and a config file with the best trial."""

import json
from typing import Any

from reco_platform.core.errors import RecoError
from reco_platform.engine.task import Task
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.reports.sweep_page import sweep_page
from reco_platform.tuning import leaderboard
from reco_platform.tuning.tuned_model import tuned_model


def work(task: Task) -> Receipt:
    sweep, axes = task.params["sweep"], task.params["axes"]
    results = {name: json.loads(task.path(name).read_text(encoding="utf-8")) for name in task.inputs}
    cells = [(name, iterations) for name, iterations in task.params["cells"]]
    trials = leaderboard.rank_trials(results, cells, tuned_model(axes))
    succeeded = [line for line in trials if line["error"] is None]
    result = {
        "sweep": sweep,
        "dataset": task.dataset,
        "metric": task.params["sweep_metric"],
        "smaller_is_better": results[succeeded[0]["trial"]]["smaller_is_better"] if succeeded else None,
        "axes": axes,
        "trials": trials,
    }
    split_keys = STEPS["interactions"].keys
    best = leaderboard.best_config(succeeded[0], task.params, task.dataset, sweep, split_keys) if succeeded else ""
    receipt = publish_leaderboard(task, result, leaderboard.csv_table(trials, axes), best)
    failed = [line for line in trials if line["error"] is not None]
    if failed and (not succeeded or not task.params["sweep_allow_failures"]):
        raise RecoError(failure_message(failed, len(trials), f"{task.root}/{receipt.path}"), failure_hint(succeeded))
    return receipt


MOST_NAMES = 5
"""So many trials with the same error are named."""


def publish_leaderboard(task: Task, result: dict[str, Any], table: str, best: str) -> Receipt:
    """Publishes the leaderboard in place of an earlier one; without best.yaml if all trials failed."""
    path = task.content_path()
    staging = publish.create_staging_folder(task.root / path)
    (staging / leaderboard.RESULT).write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (staging / "leaderboard.csv").write_text(table, encoding="utf-8")
    (staging / "report.html").write_text(sweep_page(result), encoding="utf-8")
    if best:
        (staging / leaderboard.BEST).write_text(best, encoding="utf-8")
    content = leaderboard.leaderboard_fingerprint(result, best)
    rows = len(result["trials"])
    publish.publish_folder(staging, task.root / path, fingerprint=content, rows=rows)
    facts = {"trials": rows, "best": result["trials"][0]["trial"] if best else None}
    return Receipt(task.artifact, "folder", path, "json", None, rows, "", content, facts)


def failure_message(failed: list[dict[str, Any]], trials: int, folder: str) -> str:
    by_error: dict[str, list[str]] = {}
    for line in failed:
        by_error.setdefault(str(line["error"]), []).append(str(line["trial"]))
    errors = [
        f"  trial{'s' * (len(names) > 1)} {', '.join(names[:MOST_NAMES])}"
        f"{f' and {len(names) - MOST_NAMES} more' if len(names) > MOST_NAMES else ''}: {error}"
        for error, names in by_error.items()
    ]
    others = f"; {folder} has the results of the others" if len(failed) < trials else f"; {folder} has their parameters"
    return "\n".join([f"{len(failed)} of {trials} trials failed{others}", *errors])


def failure_hint(succeeded: list[dict[str, Any]]) -> str:
    return "run the same command again to retry the failed trials" + (
        "; sweep_allow_failures=true accepts the sweep with failures" if succeeded else ""
    )
