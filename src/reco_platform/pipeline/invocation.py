"""One invocation of Snakemake: its lock, receipts that tell the truth, its journal, and what it says at the end."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from reco_platform.config.secrets import redact_config, redact_value
from reco_platform.config.spark_conf import as_argument
from reco_platform.core import environment, os_limits, parent_watch, project
from reco_platform.core.errors import RecoError, TableError
from reco_platform.datasets import download
from reco_platform.engine import cleanup, journal, openlineage, provenance, run_summary
from reco_platform.engine.task import memo_folder, rebuild_command
from reco_platform.lakehouse import layout, receipts, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline import explain, staleness
from reco_platform.pipeline.steps_table import SILVER, STEP_OF, STEPS, SWEEP_STEPS, artifact_of
from reco_platform.pipeline.workflow import SWEEP, SWEPT, Workflow, leave
from reco_platform.reports import text_summary
from reco_platform.spark import cluster, submit
from reco_platform.store import atomic_write
from reco_platform.store.hdfs import HdfsPath, StoreError, hdfs_message
from reco_platform.store.json_file import read_json
from reco_platform.store.locks import hdfs_lease
from reco_platform.store.paths import remove_tree
from reco_platform.tracking import client as tracking
from reco_platform.tuning import leaderboard

LOCK = ".lock"
TARGETS = ("bronze_files", "silver", "gold")
SHOWN_TRIALS = 10
LOOKING = (
    "--lint",
    "--list",
    "-l",
    "--dag",
    "--rulegraph",
    "--filegraph",
    "--d3dag",
    "--summary",
    "-S",
    "-D",
    "--unlock",
    "--report",
)
PLACES = ("dataset_path", "lakehouse")
"""Keys that say where things lie on this machine, which a sweep's best.yaml does not."""

AGES = 30 * 365 * 86400 * 10**9
"""Nanoseconds by which a receipt is set back: none was ever written so long ago."""

DRY = ("-n", "--dry-run", "--dryrun")


def start(
    workflow: Workflow, given: Mapping[str, Any], argv: Sequence[str], snakemakes: Sequence[str] = ()
) -> ExitStack | None:
    """Begins a run as its command line asks: a real one, a dry one, or a mere look at the workflow.

    Args:
        workflow: what was asked for.
        given: the configuration as it was given.
        argv: the command line.
        snakemakes: the folders for temporary files that Snakemake has made of its own accord.

    Returns:
        The locks of a real run, held until closed: they end with the process, however that ends.
    """
    try:
        return started(workflow, given, argv, snakemakes)
    except RecoError as error:
        leave(error)
    except OSError as error:
        found = os_limits.resource_error(error)
        if found is None:
            raise
        leave(found)


def started(
    workflow: Workflow, given: Mapping[str, Any], argv: Sequence[str], snakemakes: Sequence[str] = ()
) -> ExitStack | None:
    """The same; what is wrong is raised."""
    if any(word.partition("=")[0] in LOOKING for word in argv):
        return None
    if any(word in DRY or re.fullmatch(r"-[a-z]*n[a-z]*", word) for word in argv):
        check_dry_run(workflow)
        announce(workflow)
        return None
    lock = begin(workflow, given, snakemakes)
    open_run(workflow, argv)
    announce(workflow)
    return lock


def announce(workflow: Workflow) -> None:
    """Says how large a sweep is and what it will cost, and where a cluster may be named in vain."""
    if workflow.sweep:
        print(workflow.of_sweep.plan, file=sys.stderr, flush=True)
    asked = workflow.config
    if asked.spark_master and asked.engine != "spark-ml" and asked.etl_engine != "spark":
        print(
            f"[WARNING] spark_master={asked.spark_master} says where Spark runs, and not that it does: data of this "
            "size are cleaned and trained on by this machine\n  -> --config etl_engine=spark engine=spark-ml",
            file=sys.stderr,
            flush=True,
        )


def begin(
    workflow: Workflow, given: Mapping[str, Any], snakemakes: Sequence[str] = (), environ: Any = os.environ
) -> ExitStack:
    """Takes the lock, drops receipts that no longer hold, opens the journal, saves the configuration."""
    with ExitStack() as held:
        held.enter_context(locked(workflow.lakehouse))
        if isinstance(workflow.lakehouse.path, HdfsPath):
            hold(workflow.lakehouse.path, held)
        make_ready(workflow, given, snakemakes, environ)
        kept = held.pop_all()
    atexit.register(kept.close)
    return kept


def make_ready(workflow: Workflow, given: Mapping[str, Any], snakemakes: Sequence[str], environ: Any) -> None:
    """What a run begins with once it holds the lakehouse.

    Raises:
        RecoError: where it cannot begin.
    """
    cleanup.recover(workflow.lakehouse)  # first: a table half-made looks like one of another format
    staleness.refuse_foreign(workflow)
    scratch = cleanup.begin(workflow.lakehouse, snakemakes)
    environ.update({**for_scripts(workflow, given, environ["PATH"]), parent_watch.SCRATCH_VARIABLE: str(scratch)})
    drop_stale(workflow)
    environ[journal.VARIABLE] = str(journal.start(workflow.lakehouse.runs).resolve())
    axes = workflow.sweep.axes if workflow.sweep else {}
    saved = json.dumps(redact_config(workflow.config) | axes, indent=1) + "\n"
    atomic_write.write_text(workflow.lakehouse.records / "config.resolved.json", saved)


def join(workflow: Workflow, given: Mapping[str, Any], environ: Any = os.environ) -> None:
    """Prepares a job that an executor plugin runs apart from the main process, and perhaps without its environment."""
    if layout.LAKEHOUSE not in environ:
        environ.update(for_scripts(workflow, given, environ["PATH"]))
    environ[parent_watch.SCRATCH_VARIABLE] = str(cleanup.scratch_folder())


def for_scripts(workflow: Workflow, given: Mapping[str, Any], path: str) -> dict[str, str]:
    """What every script of this run finds in its environment: this Python, this project's code, this lakehouse."""
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
        download.TERMINAL: "/dev/tty" if sys.stderr.isatty() else "",
        environment.TARGET: "sweep" if workflow.sweep else "gold",
        tracking.VARIABLE: workflow.config.mlflow_tracking_uri or "",
        **cluster.script_environment(workflow.config),
    }


def check_dry_run(workflow: Workflow) -> None:
    """Drops receipts that no longer hold, so that a dry run tells the truth: a dropped one can be restored.

    Raises:
        TableError: where a real run would not begin.
    """
    root = workflow.lakehouse.records
    if not root.is_dir():
        return
    staleness.refuse_foreign(workflow)
    lock = take_lock(root)
    if lock is None:
        print(f"[INFO] process {holder(root)} is at work here: this list may age", file=sys.stderr)
        return
    with lock:
        drop_stale(workflow)


def take_lock(folder: Path) -> IO[str] | None:
    """The lock of a lakehouse; None where another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / LOCK).open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def locked(lakehouse: Lakehouse) -> IO[str]:
    """The lock of a lakehouse on this machine, held as long as it is open.

    Raises:
        TableError: where another process holds it, or the folder cannot be written.
    """
    try:
        lock = take_lock(lakehouse.records)
    except OSError as error:
        message = f"lakehouse {lakehouse.records} cannot be written: {error.strerror}"
        raise TableError(message, "name a folder that you may write in") from error
    if lock is None:
        message = f"another run holds {lakehouse.root} (process {holder(lakehouse.records)})"
        raise TableError(message, "wait for it to end, then run again")
    return lock


def hold(root: HdfsPath, held: ExitStack) -> None:
    """Keeps other machines out until `held` is closed, or this process ends.

    Raises:
        StoreError: where another process holds the lakehouse.
    """
    try:
        held.enter_context(hdfs_lease(root / LOCK))
    except FileExistsError as error:
        raise StoreError(
            f"another run holds {root}: HDFS reports: {hdfs_message(error)}",
            "wait for it to end, then run again; HDFS keeps the hold of a killed one for a minute",
        ) from error


def holder(folder: Path) -> str:
    """The process that holds a lakehouse."""
    return (folder / LOCK).read_text(encoding="utf-8").strip() or "unknown"


def drop_stale(workflow: Workflow) -> None:
    """Removes receipts that no longer tell the truth, so that their steps run; says which and why."""
    forget_lost_store(workflow)
    for path in map(Path, [*workflow.all_receipts, *workflow.sweep_receipts]):
        if not path.is_file():
            continue
        try:
            receipt = receipts.read(path)
            found = staleness.stale(workflow, receipt, path)
        except TableError as error:
            found = error.message
        if found:
            print(f"[stale] {path}: {found}", file=sys.stderr, flush=True)
            path.unlink()
            continue
        clamp_mtime(path)
        date(workflow, receipt, path)
        note_looks(workflow, receipt, path)
        warn_of_damage(workflow, receipt)


def clamp_mtime(path: Path) -> None:
    """Gives a file from the future, as a clock that was set back leaves them, the present as its time of change.

    Snakemake refuses results that are older than what they were made from; which they are, their receipts tell.
    """
    if path.stat().st_mtime > time.time():
        os.utime(path)


def date(workflow: Workflow, receipt: receipts.Receipt, path: Path) -> None:
    """Sets a receipt's time back where its step would be asked for something else now, and forward where it was so.

    Snakemake compares times, and contents and parameters with its own records. None of these tells what another
    checkout has made in this lakehouse, nor anything once `.snakemake/` is lost or the clock was set back; the receipt
    itself does. An old one of which Snakemake has no record makes its step run, and unlike a missing one it can still
    be read, and dated as it was.
    """
    look = path.stat()
    aged, differs = look.st_mtime_ns < AGES, otherwise(workflow, receipt)
    if differs:
        from snakemake.io import IOFile  # noqa: PLC0415 - the tools that only look do without Snakemake
        from snakemake.persistence.file import FilePersistence  # noqa: PLC0415

        FilePersistence().cleanup_metadata(IOFile(str(path)))
    if differs != aged:
        os.utime(path, ns=(look.st_atime_ns, look.st_mtime_ns + (AGES if aged else -AGES)))


def otherwise(workflow: Workflow, receipt: receipts.Receipt) -> bool:
    """Whether a receipt's step would be asked for something else now; where an input is missing it runs anyway."""
    if receipt.artifact.startswith("bronze/"):
        return False
    try:
        return explain.made_otherwise(workflow.lakehouse, workflow.config, receipt)
    except TableError:
        return False


def forget_lost_store(workflow: Workflow) -> None:
    """Where the file that MLflow's default store consists of is gone, what was logged there is logged anew."""
    if not staleness.store_is_lost(workflow):
        return
    for name in ("gate", "tracking"):
        artifact, receipt = artifact_of(name, workflow.lakehouse.dataset), Path(workflow.receipt(name))
        remove_tree(memo_folder(STEP_OF[name], workflow.lakehouse.path, artifact))
        if receipt.is_file():
            print(f"[stale] {receipt}: {tracking.DATABASE} is gone", file=sys.stderr, flush=True)
            receipt.unlink()


def note_looks(workflow: Workflow, receipt: receipts.Receipt, path: Path) -> None:
    """Notes size and time of a CSV file whose content is the same, so that it need not be read again."""
    if receipt.artifact.startswith("bronze/"):
        known, looks = staleness.described_beside(path), staleness.looks(workflow, receipt)
        if known.get("seen") != looks:
            atomic_write.write_text(
                provenance.provenance_path(path), json.dumps({**known, "seen": looks}, indent=1) + "\n"
            )


def warn_of_damage(workflow: Workflow, receipt: receipts.Receipt) -> None:
    """Says where a table or model is damaged: not mended unasked, since the cause may be a dying disk."""
    found = staleness.damage(workflow, receipt)
    if found:
        print(
            f"[WARNING] {found}\n  -> rebuild it with: {rebuild_command(workflow.lakehouse.path, receipt)}",
            file=sys.stderr,
        )


# --- the end


def open_run(workflow: Workflow, argv: Sequence[str]) -> None:
    """Writes down what was asked for, and sees to it that a run in which no step runs ends too."""
    run = this_run()
    begun = run_summary.Summary(
        run=run.stem, outcome="under way", started=journal.clock(), target=target(workflow, argv),
        command=run_summary.command(argv), lakehouse=workflow.lakehouse.root, dataset=workflow.lakehouse.dataset,
    )  # fmt: skip
    run_summary.write(run, begun)
    facets = openlineage.parameters({"target": begun.target, "command": begun.command})
    openlineage.emit_of_run("START", run, facets)
    atexit.register(end_idle, workflow, argv)


def this_run() -> Path:
    """The journal of this run."""
    return Path(os.environ[journal.VARIABLE])


def target(workflow: Workflow, argv: Sequence[str]) -> str:
    return SWEEP if workflow.sweep else next((word for word in argv if word in TARGETS), "gold")


def end_idle(workflow: Workflow, argv: Sequence[str]) -> None:
    """Ends a run of which Snakemake has told neither success nor failure: as a rule nothing was stale."""
    run = this_run()
    if run_summary.read(run).outcome != "under way":
        return
    if journal.read(run):
        end(workflow, argv, "failed")
        return
    end(workflow, argv, "no step ran")
    cleanup.clear_up(workflow.lakehouse)  # what is registered at the end of a process is not called any more
    openlineage.lineage_path(run).unlink(missing_ok=True)


def end(workflow: Workflow, argv: Sequence[str], outcome: run_summary.Outcome) -> run_summary.Summary:
    """Completes the run's summary and its lineage."""
    run = this_run()
    happened = {event.step for event in journal.read(run)}
    told = {*planned(workflow, argv), *happened} if happened else set()
    summary = run_summary.finish(run, outcome, [step for step in STEPS if step in told])
    why = "; ".join(f"{one.step}: {one.last_line or one.why[0]}" for one in summary.failures)
    openlineage.emit_unsaid(run)
    if outcome == "failed":
        openlineage.emit_of_run("FAIL", run, openlineage.error(why or "Snakemake stopped before its end"))
    else:
        openlineage.emit_of_run("COMPLETE", run, {})
    return summary


def planned(workflow: Workflow, argv: Sequence[str]) -> set[str]:
    """The steps of the target."""
    if workflow.sweep:
        return {"bronze", *(STEP_OF[name].name for name in SWEPT), *SWEEP_STEPS}
    return {STEP_OF[name].name for name in parts(workflow, target(workflow, argv))}


def success(workflow: Workflow, argv: Sequence[str]) -> str:
    """What each step of the target did, and what came of it."""
    text = [steps_table(end(workflow, argv, "succeeded"))]
    cleanup.ended_well(workflow.lakehouse)
    if workflow.sweep:
        return "\n".join([*text, *leaderboard_lines(workflow)])
    return "\n".join([*text, *([gold_summary(workflow)] if target(workflow, argv) == "gold" else [])])


def failure(workflow: Workflow, argv: Sequence[str]) -> str:
    """What each step did, and which one failed, why, where its log is, and what to type next."""
    summary = end(workflow, argv, "failed")
    best = leaderboard_lines(workflow) if workflow.sweep else []
    return "\n".join([steps_table(summary), *best, "", *run_summary.failure_lines(summary)])


def steps_table(summary: run_summary.Summary) -> str:
    return "\n".join(["Steps of this run", *map(run_summary.step_line, summary.steps)])


def leaderboard_lines(workflow: Workflow) -> list[str]:
    """A sweep's best trials, and how gold is made with the best of them."""
    try:
        receipt = receipts.read(workflow.of_sweep.leaderboard)
        folder = tables.local_path(workflow.lakehouse.path, receipt)
        found = read_json(folder / "leaderboard.json")
    except (RecoError, OSError, ValueError):
        return []
    place = {key: value for key in PLACES if (value := getattr(workflow.config, key)) is not None}
    pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in place.items())
    best = shlex.quote(project.as_typed_path(folder / "best.yaml"))
    command = project.run_command("gold", f"--configfile {best}", f"--config {pairs}" if pairs else "")
    where = f"  all of them   {project.as_typed_path(folder)}/leaderboard.csv, report.html"
    said = [*leaderboard.lines_for_people(found, SHOWN_TRIALS), where]
    return [*said, *([f"  next          {command}"] if (folder / "best.yaml").is_file() else [])]


def parts(workflow: Workflow, target: str) -> tuple[str, ...]:
    """What a target consists of, as configured."""
    layers = (("bronze",), SILVER, workflow.gold)[: TARGETS.index(target) + 1]
    return tuple(name for layer in layers for name in layer)


def gold_summary(workflow: Workflow) -> str:
    """What gold holds, for people; empty where it is not all there."""
    lakehouse = workflow.lakehouse
    try:
        read = {name: receipts.read(workflow.receipt(name)) for name in (*workflow.gold, *SILVER)}
        opened = {name: tables.open_table(lakehouse.path, read[name], "") for name in ("recommendations", "movies")}
    except RecoError:
        return ""
    files = {name: lakehouse.content(read[name].path) for name in ("run_metrics", "etl_report", "gate", "report")}
    best = text_summary.sample_recommendations(
        opened["recommendations"].read(["user_id", "recommendations"]),
        opened["movies"].read(["movie_id", "title"]),
        users=3,
        count=5,
    )
    root = project.as_typed_path(lakehouse.root)
    paths = {
        "tables": f"{root}/silver, {root}/gold",
        "metrics": project.as_typed_path(files["run_metrics"]),
        "report": project.as_typed_path(files["report"]),
        "rejected rows": f"{root}/silver/_quarantine",
    }
    metrics, etl = read_json(files["run_metrics"]), read_json(files["etl_report"])
    gate = read_json(files["gate"])
    return text_summary.summary(root, metrics, etl, best, gate=gate, paths=paths)
