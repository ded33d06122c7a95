"""The leaderboard of a sweep: its trials from best to worst, and the configuration of the best one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from reco_platform.config.model import AXES, Config
from reco_platform.core.hashing import canonical_json, sha256
from reco_platform.fingerprint.files import without_volatile
from reco_platform.reports.tied_trials import tie_text
from reco_platform.tuning.fits import trial_model
from reco_platform.tuning.tuned_model import RATING, TunedModel

RESULT, BEST = "leaderboard.json", "best.yaml"
COLUMNS = ("iteration", "value", "low", "high", "seconds", "peak_memory_mb", "error")


def rank_trials(
    results: Mapping[str, Mapping[str, Any]], cells: Sequence[tuple[str, int]], tuned: TunedModel = RATING
) -> list[dict[str, Any]]:
    """A line for each trial: the best first, ties in the order of the grid, failed ones last and without a place.

    Args:
        results: of the fits, by id.
        cells: fit and iterations of each trial.
        tuned: the model that the sweep tunes.
    """
    lines = [trial_line(results[name], iterations, tuned) for name, iterations in cells]
    good = [line for line in lines if line["error"] is None]
    smaller = all(results[line["trial"]]["smaller_is_better"] for line in good)
    good.sort(key=lambda line: line["value"] if smaller else -line["value"])  # stable
    failed = [line for line in lines if line["error"] is not None]
    return [{"place": rank, **line} for rank, line in enumerate(good, start=1)] + [
        {"place": None, **line} for line in failed
    ]


def trial_line(result: Mapping[str, Any], iterations: int, tuned: TunedModel = RATING) -> dict[str, Any]:
    """A trial: parameters, the iteration that is scored, score, time, memory, and the scores up to its iterations."""
    key = trial_model(result["params"]).iteration_key
    params = {name: value for name, value in tuned.own_params(result["params"]).items() if value is not None}
    line = {"trial": result["trial"], "params": {**params, **({key: iterations} if key else {})}}
    if result["status"] == "failed":
        nulls = dict.fromkeys(COLUMNS)
        return {**line, **nulls, "seconds": result["seconds"], "error": result["error"], "curve": []}
    curve = [score for score in result["scores"] if score["iteration"] <= iterations]
    scored = scored_iteration(curve, result)
    return {
        **line,
        **{key: scored[key] for key in ("iteration", "value", "low", "high", "seconds")},
        "peak_memory_mb": result["peak_memory_mb"],
        "error": None,
        "curve": curve,
    }


def scored_iteration(curve: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The last iteration; with patience the best one, the first of ties."""
    if result["params"]["patience"] is None:
        return curve[-1]
    best = min if result["smaller_is_better"] else max
    return best(curve, key=lambda score: score["value"])


def csv_table(lines: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> str:
    """The lines as CSV, with the axes as the only parameters."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["place", "trial", *axes, *COLUMNS])
    for line in lines:
        values = [line["place"], line["trial"], *(line["params"].get(key) for key in axes)]
        writer.writerow(["" if value is None else value for value in (*values, *(line[key] for key in COLUMNS))])
    return out.getvalue()


def text_lines(leaderboard: Mapping[str, Any], count: int) -> list[str]:
    """The best `count` trials of a leaderboard for the terminal."""
    lines = [f"Sweep {leaderboard['sweep']}, by {leaderboard['metric']} on the validation fold"]
    tie = tie_text(leaderboard)
    lines += [f"  {tie}"] if tie else []
    for line in leaderboard["trials"][:count]:
        params = " ".join(f"{key}={line['params'][key]}" for key in leaderboard["axes"] if key in line["params"])
        if line["error"] is not None:
            lines.append(f"    -  failed: {line['error']}  {params}")
            continue
        interval = "" if line["low"] is None else f"  [{line['low']:.4f}, {line['high']:.4f}]"
        wanted = trial_model(line["params"]).iterations(line["params"])
        early = f"  (iteration {line['iteration']})" if line["iteration"] != wanted else ""
        lines.append(f"  {line['place']:>3}  {line['value']:.4f}{interval}  {params}{early}")
    more = len(leaderboard["trials"]) - count
    return [*lines, *([f"       and {more:,} more"] if more > 0 else [])]


def best_config(
    line: Mapping[str, Any], params: Mapping[str, Any], dataset: str, sweep: str, split_keys: Sequence[str]
) -> str:
    """A config file with the hyperparameters of a trial, on the data and folds that it was chosen by.

    Args:
        line: the trial's line of the leaderboard.
        params: parameters of the step leaderboard.
        dataset: name of the data set.
        sweep: name of the sweep.
        split_keys: the config keys of `params` that decide the folds.
    """
    defaults = Config.model_validate({})
    split = {key: params[key] for key in split_keys if params[key] != getattr(defaults, key)}
    axes = {key: value for key, value in line["params"].items() if key in AXES}
    iteration_key = trial_model(line["params"]).iteration_key
    iterations = {iteration_key: line["iteration"]} if iteration_key else {}
    values = {"dataset": dataset, **split, **axes, **iterations, "chosen_by": sweep}
    return (
        f"# The best trial of sweep {sweep}: {line['trial']}, {params['sweep_metric']} {line['value']}\n"
        "# on the validation fold. Build gold with it: snakemake --cores 2 gold --configfile THIS_FILE\n"
        + yaml.safe_dump(values, sort_keys=False)
    )


def leaderboard_fingerprint(leaderboard: Mapping[str, Any], best: str) -> str:
    """Sixteen hex digits for a leaderboard and the config file of its best trial."""
    return sha256(canonical_json([without_volatile(leaderboard), best]))[:16]


def folder_fingerprint(folder: Path) -> str:
    """The fingerprint of the leaderboard in a folder.

    Raises:
        OSError: the leaderboard does not exist.
        ValueError: it is not JSON.
    """
    best = folder / BEST
    text = best.read_text(encoding="utf-8") if best.is_file() else ""
    return leaderboard_fingerprint(json.loads((folder / RESULT).read_text(encoding="utf-8")), text)
