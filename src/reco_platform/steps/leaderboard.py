"""The trials of a sweep from best to worst, as CSV, JSON and a page, and a config file with the best of them."""

import json
from typing import Any

from reco_platform.core.errors import RecoError
from reco_platform.engine.task import Task
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.reports.sweep_page import sweep_page
from reco_platform.tuning import leaderboard


def work(task: Task) -> Receipt:
    sweep, axes = task.params["sweep"], task.params["axes"]
    results = {name: json.loads(task.path(name).read_text(encoding="utf-8")) for name in task.inputs}
    lines = leaderboard.rank_trials(results, [(name, max_iter) for name, max_iter in task.params["cells"]])
    good = [line for line in lines if line["error"] is None]
    found = {
        "sweep": sweep,
        "dataset": task.dataset,
        "metric": task.params["sweep_metric"],
        "smaller_is_better": results[good[0]["trial"]]["smaller_is_better"] if good else None,
        "axes": axes,
        "trials": lines,
    }
    split_keys = STEPS["interactions"].keys
    best = leaderboard.best_config(good[0], task.params, task.dataset, sweep, split_keys) if good else ""
    receipt = publish_leaderboard(task, found, leaderboard.csv_table(lines, axes), best)
    failed = [line for line in lines if line["error"] is not None]
    if failed and (not good or not task.params["sweep_allow_failures"]):
        raise RecoError(complaint(failed, len(lines), f"{task.root}/{receipt.path}"), hint(good))
    return receipt


def publish_leaderboard(task: Task, found: dict[str, Any], table: str, best: str) -> Receipt:
    """Puts the files in the place of an earlier state; best.yaml only if there is a best."""
    path = task.content_path()
    staging = publish.create_staging_folder(task.root / path)
    (staging / leaderboard.RESULT).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (staging / "leaderboard.csv").write_text(table, encoding="utf-8")
    (staging / "report.html").write_text(sweep_page(found), encoding="utf-8")
    if best:
        (staging / leaderboard.BEST).write_text(best, encoding="utf-8")
    content = leaderboard.leaderboard_fingerprint(found, best)
    rows = len(found["trials"])
    publish.publish_folder(staging, task.root / path, fingerprint=content, rows=rows)
    facts = {"trials": rows, "best": found["trials"][0]["trial"] if best else None}
    return Receipt(task.artifact, "folder", path, "json", None, rows, "", content, facts)


def complaint(failed: list[dict[str, Any]], trials: int, folder: str) -> str:
    said = [f"  trial {line['trial']}: {line['error']}" for line in failed]
    return "\n".join([f"{len(failed)} of {trials} trials failed; {folder} has the others", *said])


def hint(good: list[dict[str, Any]]) -> str:
    return "the same command tries the failed ones again" + (
        "; sweep_allow_failures=true takes the sweep as it is" if good else ""
    )
