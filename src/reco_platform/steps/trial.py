"""One trial: a fit on the train fold, scored on the validation fold, in a separate process.

If that process fails or is killed, the trial's result records the failure, and the sweep continues.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reco_platform.core import environment, project, terminal
from reco_platform.core.errors import RecoError
from reco_platform.engine import command_line, journal
from reco_platform.engine.task import Task
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.spark import submit
from reco_platform.spark.user_errors import setting_error
from reco_platform.splits import interactions
from reco_platform.store import atomic_write
from reco_platform.tuning import data as sweep_data
from reco_platform.tuning import fits

if TYPE_CHECKING:
    import numpy.typing as npt

OUTPUT = "RECO_TRIAL_OUTPUT"
"""Environment variable with the path of the file that the process of a fit writes; set in that process only."""


def trial_id(task: Task) -> str:
    return Path(task.artifact).parent.name


def run_fit(task: Task, argv: Sequence[str]) -> Receipt:
    """Runs the fit in a separate process and publishes its result.

    Args:
        task: with the input sweep_data.
        argv: the command line of this script; the process gets the same.
    """
    path = task.path("sweep_data")  # damaged input is an error of this step, not a failure of the trial
    started = time.monotonic()
    found = run_process(task, argv, sum(file.stat().st_size for file in path.glob("*.npy")))
    name = trial_id(task)
    result: dict[str, Any] = {
        "trial": name,
        "params": fits.fit_of(task.values).params,
        **found,
        "seconds": round(time.monotonic() - started, 2),
    }
    atomic_write.write_text(task.root / layout.trial_params(name), json.dumps(task.values, indent=1) + "\n")
    facts = {key: value for key, value in result.items() if key in {"status", "error"}}
    if "error" in found:
        task.print_line(f"trial {name} failed: {found['error']}")  # for its log; the leaderboard reports it
    return task.publish_file(json.dumps(result, indent=1, allow_nan=False) + "\n", facts)


def run_process(task: Task, argv: Sequence[str], size: int) -> dict[str, Any]:
    """The result of the fit, or its failure."""
    script, variables = str(project.file(task.step.script)), dict(os.environ)
    command = [sys.executable, script, *argv]
    if task.params["engine"] == "spark-ml":
        memory = os.environ.get(environment.MEMORY, "2g")
        command = submit.submit_command(script, argv, threads=task.threads, memory=memory, input_bytes=size)
        variables = submit.spark_environment()
    with tempfile.TemporaryDirectory(prefix="trial-") as folder:
        output = Path(folder) / "result.json"
        variables |= {OUTPUT: str(output), journal.VARIABLE: ""}  # a thousand fits would flood the journal
        exit_code = subprocess.run(command, env=variables, check=False).returncode
        if output.is_file():
            found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
            return found
    return failure(exit_reason(exit_code))


def failure(error: str) -> dict[str, Any]:
    return {"status": "failed", "error": error}


def exit_reason(code: int) -> str:
    """Describes the exit code of a process that wrote no result."""
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        likely = ": most likely the machine was out of memory" if number == signal.SIGKILL else ""
        return f"the training process was killed by {name}{likely}"
    return f"the training process exited with code {code} and wrote no result"


# --- in the process of the fit


def fit(argv: Sequence[str]) -> int:
    """Trains, scores and writes the result or the failure to the file that OUTPUT names."""
    terminal.prepare()
    step = STEPS["trial"]
    try:
        task = command_line.task_from(step, command_line.parser(step, "").parse_args(list(argv)))
        # Trials run in parallel: the name tells their progress lines apart.
        found = train_and_score(replace(task, step=replace(step, name=f"trial {trial_id(task)}")))
    except RecoError as error:
        found = failure(error.message)
    except MemoryError as error:
        found = failure(f"out of memory: {error}" if str(error) else "out of memory")
    except Exception as error:  # any error: the other trials continue
        known = setting_error(error)
        if known is None:
            traceback.print_exc()
        found = failure(known.message if known else f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
    atomic_write.write_text(os.environ[OUTPUT], json.dumps(found, allow_nan=False))
    return 0


def train_and_score(task: Task) -> dict[str, Any]:
    """Trains, and scores after each iteration that the engine reports."""
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.models.als import training  # noqa: PLC0415
    from reco_platform.steps import ranking  # noqa: PLC0415
    from reco_platform.steps import training as rating  # noqa: PLC0415
    from reco_platform.tuning.validation_score import ValidationScorer  # noqa: PLC0415

    folds = sweep_data.read_folds(task.path("sweep_data"))
    least = task.params["min_user_ratings"], task.params["min_item_ratings"]
    rows = training.with_enough_ratings(fold_table(folds, folds.train), *least)
    train, validation = rating_arrays(rows), rating_arrays(fold_table(folds, folds.validation))
    scorer = ValidationScorer(train, validation, folds.genres, task.params, task.threads)
    chosen = fits.trial_model(task.params).choose_engine(task.params, len(rows))
    fit_model = rating.fit if task.params["ranking_model"] == fits.RATING_MODEL else ranking.fit
    fit_model(task, rows, chosen, scorer.callback)
    native = chosen.engine == "native"
    return {
        "status": "ok",
        "metric": task.params["sweep_metric"],
        "smaller_is_better": scorer.smaller_is_better,
        "ratings": len(rows),
        "validation_ratings": len(validation.ratings),
        "scores": scorer.scores(),
        # With Spark most memory is in a JVM, whose peak is not known here.
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 if native else None,
    }


def fold_table(folds: sweep_data.Folds, fold: dict[str, npt.NDArray[Any]]) -> pa.Table:
    """A fold as a table with interactions.COLUMNS, which training reads."""
    users, movies, values, moments = (fold[name] for name in sweep_data.COLUMNS)
    columns = (folds.user_ids[users], folds.movie_ids[movies], users, movies, values)
    times = pa.array(moments).cast(pa.timestamp("us", "UTC"))
    return pa.table([*(pa.array(column) for column in columns), times], names=list(interactions.COLUMNS))
