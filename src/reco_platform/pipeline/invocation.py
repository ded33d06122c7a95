"""The start of a run: locks, refreshed receipts, and the environment of the scripts."""

from __future__ import annotations

import atexit
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reco_platform.config.secrets import redact_config, redact_value
from reco_platform.config.spark_conf import as_argument
from reco_platform.core import environment, os_limits, parent_watch, project
from reco_platform.core.errors import RecoError
from reco_platform.engine import cleanup, journal
from reco_platform.engine.run_lock import lock_run
from reco_platform.lakehouse import layout
from reco_platform.pipeline import end_summary, remembered, staleness
from reco_platform.pipeline.refresh import refresh_receipts
from reco_platform.pipeline.run_display import RunDisplay
from reco_platform.pipeline.workflow import Workflow, exit_with_error
from reco_platform.spark import cluster, submit
from reco_platform.store import atomic_write
from reco_platform.store.locks import acquire_lock, lock_holder
from reco_platform.tracking import client as tracking

READ_ONLY_OPTIONS = (
    "--lint", "--list", "-l", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--summary", "-S", "-D", "--unlock",
    "--report",
)  # fmt: skip
"""Options of Snakemake that inspect the workflow and run nothing."""

DRY_RUN_OPTIONS = ("-n", "--dry-run", "--dryrun")


@dataclass(frozen=True)
class StartedRun:
    """A run that holds its lakehouse.

    Attributes:
        lock: its locks; they are released when closed or when the process exits.
        display: shows its steps.
    """

    lock: ExitStack
    display: RunDisplay


def start(
    workflow: Workflow,
    given: Mapping[str, Any],
    argv: Sequence[str],
    snakemake_folders: Sequence[str],
    is_idle: Callable[[], bool],
) -> StartedRun | None:
    """Starts a run, a dry run, or an inspection of the workflow.

    Args:
        workflow: the invocation.
        given: the configuration as given, by key.
        argv: the command line.
        snakemake_folders: folders for temporary files that Snakemake has created.
        is_idle: whether Snakemake has found nothing to do; called when the process exits.

    Returns:
        The run; None for a dry run or an inspection.
    """
    try:
        return start_run(workflow, given, argv, snakemake_folders, is_idle)
    except RecoError as error:
        exit_with_error(error)
    except OSError as error:
        found = os_limits.resource_error(error)
        if found is None:
            raise
        exit_with_error(found)


def start_run(
    workflow: Workflow,
    given: Mapping[str, Any],
    argv: Sequence[str],
    snakemake_folders: Sequence[str],
    is_idle: Callable[[], bool],
) -> StartedRun | None:
    """As `start`, but raises errors."""
    if any(word.partition("=")[0] in READ_ONLY_OPTIONS for word in argv):
        return None
    if any(word in DRY_RUN_OPTIONS or re.fullmatch(r"-[a-z]*n[a-z]*", word) for word in argv):
        check_dry_run(workflow)
        print_plan(workflow)
        return None
    lock = begin(workflow, given, snakemake_folders)
    print_plan(workflow)
    return StartedRun(lock, end_summary.open_run(workflow, argv, is_idle))


def print_plan(workflow: Workflow) -> None:
    """Prints what is remembered and found, the size and cost of a sweep, and a warning if a cluster is not used."""
    for text in workflow.notes:
        print(text, file=sys.stderr, flush=True)
    if workflow.sweep:
        print(workflow.sweep_workflow.plan, file=sys.stderr, flush=True)
    config = workflow.config
    if config.spark_master and config.engine != "spark-ml" and config.etl_engine != "spark":
        print(
            f"[WARNING] spark_master={config.spark_master} is set, but data of this size are cleaned and "
            "trained on this machine\n  -> --config etl_engine=spark engine=spark-ml",
            file=sys.stderr,
            flush=True,
        )


def begin(
    workflow: Workflow, given: Mapping[str, Any], snakemake_folders: Sequence[str] = (), environ: Any = os.environ
) -> ExitStack:
    """Takes the locks, refreshes receipts, opens the journal and saves the configuration."""
    with lock_run(workflow.lakehouse) as held:
        prepare_lakehouse(workflow, given, snakemake_folders, environ)
        kept = held.pop_all()
    atexit.register(kept.close)
    return kept


def prepare_lakehouse(
    workflow: Workflow, given: Mapping[str, Any], snakemake_folders: Sequence[str], environ: Any
) -> None:
    """Prepares the lakehouse for a run that holds its lock.

    Raises:
        RecoError: if the run cannot start.
    """
    cleanup.recover(workflow.lakehouse)  # first, because an incomplete table looks like a foreign one
    staleness.refuse_foreign_tables(workflow)
    staleness.refuse_damaged_dictionaries(workflow)
    scratch = cleanup.begin(workflow.lakehouse, snakemake_folders)
    environ.update(
        {**script_environment(workflow, given, environ["PATH"]), parent_watch.SCRATCH_VARIABLE: str(scratch)}
    )
    refresh_receipts(workflow)
    environ[journal.VARIABLE] = str(journal.start(workflow.lakehouse.runs).resolve())
    axes = workflow.sweep.axes if workflow.sweep else {}
    saved = json.dumps(redact_config(workflow.config) | axes, indent=1) + "\n"
    atomic_write.write_text(workflow.lakehouse.records / "config.resolved.json", saved)
    if not remembered.read(
        workflow.lakehouse
    ).keys:  # an earlier source is replaced once there are files from the new one
        remembered.write(workflow.lakehouse, workflow.memory)


def join(workflow: Workflow, given: Mapping[str, Any], environ: Any = os.environ) -> None:
    """Prepares a job that an executor plugin runs outside the main process, possibly without its environment."""
    if layout.LAKEHOUSE not in environ:
        environ.update(script_environment(workflow, given, environ["PATH"]))
    environ[parent_watch.SCRATCH_VARIABLE] = str(cleanup.scratch_folder())


def script_environment(workflow: Workflow, given: Mapping[str, Any], path: str) -> dict[str, str]:
    """The environment of every script of this run: this Python, this project's code, this lakehouse."""
    shown = {key: as_argument(redact_value(key, value)) for key, value in given.items()}
    pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in shown.items())
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}",
        "PYTHONPATH": project.python_path(),
        layout.LAKEHOUSE: workflow.lakehouse.root,
        layout.DATASET: workflow.lakehouse.dataset,
        environment.MEMORY: workflow.config.driver_memory,
        environment.LOG_LEVEL: workflow.config.log_level,
        submit.EVENT_LOG_VARIABLE: str(workflow.lakehouse.spark_events.resolve())
        if workflow.config.spark_event_logs
        else "",
        environment.ETL_ENGINE: workflow.config.etl_engine,
        environment.FORCE_OVERWRITE: "true" if workflow.config.force_overwrite else "",
        environment.OVERRIDES: f"--config {pairs}" if pairs else "",
        environment.TARGET: "sweep" if workflow.sweep else "gold",
        tracking.URI_VARIABLE: workflow.config.mlflow_tracking_uri or "",
        **cluster.script_environment(workflow.config),
    }


def check_dry_run(workflow: Workflow) -> None:
    """Refreshes receipts before a dry run, so that its list of jobs is correct; removed receipts can be restored.

    Raises:
        TableError: if a run could not start.
    """
    root = workflow.lakehouse.records
    if not root.is_dir():
        return
    staleness.refuse_foreign_tables(workflow)
    staleness.refuse_damaged_dictionaries(workflow)
    lock = acquire_lock(root)
    if lock is None:
        print(f"[INFO] process {lock_holder(root)} is running in this lakehouse: the list may change", file=sys.stderr)
        return
    with lock:
        refresh_receipts(workflow)
