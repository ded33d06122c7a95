"""One invocation of Snakemake: its lock, receipts that tell the truth, its journal, and what it says at the end."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from reco_platform import (
    bronze,
    cluster,
    config,
    datasets,
    download,
    journal,
    layout,
    leaderboard,
    receipts,
    reporting,
    steps,
    storage,
    tracking,
)
from reco_platform.digests import SOURCE
from reco_platform.errors import RecoError
from reco_platform.layout import TABLES
from reco_platform.registry import MAKERS, OF_SWEEPS, STEPS
from reco_platform.workflow import SILVER, SWEPT, Workflow

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

DRY = ("-n", "--dry-run", "--dryrun")


def start(workflow: Workflow, given: Mapping[str, Any], argv: Sequence[str]) -> IO[str] | None:
    """Begins a run as its command line asks: a real one, a dry one, or a mere look at the workflow.

    Returns:
        The lock of a real run, held as long as it is open: it ends with the process, however that ends.
    """
    if any(word.partition("=")[0] in LOOKING for word in argv):
        return None
    if any(word in DRY or re.fullmatch(r"-[a-z]*n[a-z]*", word) for word in argv):
        glance(workflow)
        announce(workflow)
        return None
    lock = begin(workflow, given)
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


def begin(workflow: Workflow, given: Mapping[str, Any], environ: Any = os.environ) -> IO[str]:
    """Takes the lock, drops receipts that no longer hold, opens the journal, saves the configuration."""
    root = Path(workflow.house.root)
    lock = take_lock(root)
    if lock is None:
        message = f"another run holds {root} (process {holder(root)})"
        print(f"[ERROR] {message}\n  -> wait for it to end, then run again", file=sys.stderr, flush=True)
        os._exit(1)
    refuse_other_format(workflow)
    environ.update(for_scripts(workflow, given, environ["PATH"]))
    drop_stale(workflow)
    environ[journal.VARIABLE] = str(journal.start(root / "_runs").resolve())
    axes = workflow.sweep.axes if workflow.sweep else {}
    saved = json.dumps(workflow.config.shown() | axes, indent=1) + "\n"
    receipts.write_text(root / "config.resolved.json", saved)
    return lock


def for_scripts(workflow: Workflow, given: Mapping[str, Any], path: str) -> dict[str, str]:
    """What every script of this run finds in its environment: this Python, this project's code, this lakehouse."""
    shown = {key: as_given(config.without_secrets(key, value)) for key, value in given.items()}
    pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in shown.items())
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}",
        "PYTHONPATH": str(SOURCE.parent),
        steps.LAKEHOUSE: workflow.house.root,
        steps.DATASET: workflow.house.dataset,
        steps.MEMORY: workflow.config.driver_memory,
        steps.LOG_LEVEL: workflow.config.log_level,
        steps.ETL_ENGINE: workflow.config.etl_engine,
        steps.OVERRIDES: f" --config {pairs}" if pairs else "",
        download.TERMINAL: "/dev/tty" if sys.stderr.isatty() else "",
        steps.TARGET: "sweep" if workflow.sweep else "gold",
        tracking.VARIABLE: workflow.config.mlflow_tracking_uri or "",
        **cluster.for_scripts(workflow.config),
    }


def as_given(value: Any) -> Any:
    """A value as `--config` takes it: settings joined by commas."""
    return ",".join(f"{name}={each}" for name, each in value.items()) if isinstance(value, dict) else value


def refuse_other_format(workflow: Workflow) -> None:
    """Ends the process where the lakehouse holds tables of the other format."""
    try:
        for name in (*TABLES, "interactions", "recommendations", "fallback"):
            storage.refuse_other_format(
                workflow.house.local(workflow.house.artifact(name)), workflow.config.storage_format
            )
    except RecoError as error:
        print(f"[ERROR] {error}", file=sys.stderr, flush=True)
        os._exit(error.exit_code)


def glance(workflow: Workflow) -> None:
    """Drops receipts that no longer hold, so that a dry run tells the truth: a dropped one can be restored."""
    root = Path(workflow.house.root)
    if not root.is_dir():
        return
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
            found = stale(workflow, receipt, path)
        except RecoError as error:
            found = error.what
        if found:
            print(f"[stale] {path}: {found}", file=sys.stderr, flush=True)
            path.unlink()
        else:
            warn_of_damage(workflow, receipt)


def forget_lost_store(workflow: Workflow) -> None:
    """Where the file that MLflow's default store consists of is gone, what was logged there is logged anew."""
    asked = workflow.config
    if asked.mlflow_tracking_uri or not asked.tracking or tracking.DATABASE.exists():
        return
    for name in ("gate", "tracking"):
        artifact, receipt = workflow.house.artifact(name), Path(workflow.receipt(name))
        shutil.rmtree(steps.memo_folder(MAKERS[name], Path(workflow.house.root), artifact), ignore_errors=True)
        if receipt.is_file():
            print(f"[stale] {receipt}: {tracking.DATABASE} is gone", file=sys.stderr, flush=True)
            receipt.unlink()


def stale(workflow: Workflow, receipt: receipts.Receipt, path: Path) -> str | None:
    """Why a receipt no longer holds, as far as a quick look can tell."""
    if receipt.artifact.startswith("bronze/"):
        return changed_csv(workflow, receipt, path)
    if not receipt.lasting:
        return "it could not be finished, and is tried again"
    content = workflow.house.local(receipt.path)
    if receipt.kind == "absent":
        return None
    if not content.exists():
        return f"{content} is gone"
    if receipt.version is not None and not storage.head_is(content, receipt):
        return f"{content} was written by something else: its newest version is not {receipt.version}"
    return None


def changed_csv(workflow: Workflow, receipt: receipts.Receipt, path: Path) -> str | None:
    """Whether a CSV file, or the user's own that it came from, differs; read only where its size or time does."""
    side = steps.provenance_path(path)
    try:
        known = reporting.read_json(side)
    except (OSError, ValueError):
        known = {}
    files = [workflow.house.local(receipt.path), datasets.source(workflow.dataset, Path(receipt.artifact).name)]
    looks = {str(file): bronze.seen(file) for file in files if file}
    for name, look in looks.items():
        if known.get("seen", {}).get(name) == look or (look is None and receipt.kind == "absent"):
            continue
        if look is None:
            return f"{name} is gone"
        if storage.file_fingerprint(Path(name)) != receipt.fingerprint:
            return f"{name} was changed"
    if known.get("seen") != looks:
        receipts.write_text(side, json.dumps({**known, "seen": looks}, indent=1) + "\n")
    return None


def warn_of_damage(workflow: Workflow, receipt: receipts.Receipt) -> None:
    """Says where a table or model is damaged: not mended unasked, since the cause may be a dying disk."""
    if receipt.kind in {"table", "model", "folder"}:
        found = storage.problem(Path(workflow.house.root), receipt)
        if found:
            print(f"[WARNING] {found}\n  -> rebuild it with: {steps.rebuild_command(receipt)}", file=sys.stderr)


def closing(workflow: Workflow, argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """What each step of the target did, and after `gold` what it holds."""
    events = journal.read(Path(environ.get(journal.VARIABLE, "")))
    if workflow.sweep:
        return closing_of_sweep(workflow, events)
    target = next((word for word in argv if word in TARGETS), "gold")
    names = [MAKERS[name].name for name in parts(workflow, target)]
    happened = {event["step"] for event in events}
    text = "Steps of this run\n" + journal.table(events, [step for step in STEPS if step in {*names, *happened}])
    return text + (f"\n{gold_summary(workflow)}" if target == "gold" else "")


def closing_of_sweep(workflow: Workflow, events: list[dict[str, Any]]) -> str:
    """What each step of the sweep did, its best trials, and how gold is made with the best of them."""
    names = {"bronze", *(MAKERS[name].name for name in SWEPT), *OF_SWEEPS, *(event["step"] for event in events)}
    text = "Steps of this run\n" + journal.table(events, [step for step in STEPS if step in names])
    flow = workflow.of_sweep
    folder = workflow.house.local(layout.sweep(flow.sweep.name))
    try:
        found = reporting.read_json(folder / "leaderboard.json")
    except (OSError, ValueError):
        return text
    place = {key: value for key in PLACES if (value := getattr(workflow.config, key)) is not None}
    pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in place.items())
    command = f"snakemake --cores 2 gold --configfile {folder}/best.yaml" + (f" --config {pairs}" if pairs else "")
    where = f"  all of them   {folder}/leaderboard.csv, report.html"
    said = [text, *leaderboard.lines_for_people(found, SHOWN_TRIALS), where]
    return "\n".join([*said, *([f"  next          {command}"] if (folder / "best.yaml").is_file() else [])])


def parts(workflow: Workflow, target: str) -> tuple[str, ...]:
    """What a target consists of, as configured."""
    layers = (("bronze",), SILVER, workflow.gold)[: TARGETS.index(target) + 1]
    return tuple(name for layer in layers for name in layer)


def gold_summary(workflow: Workflow) -> str:
    """What gold holds, for people; empty where it is not all there."""
    house = workflow.house
    try:
        read = {name: receipts.read(workflow.receipt(name)) for name in (*workflow.gold, *SILVER)}
        opened = {name: storage.open_table(Path(house.root), read[name], "") for name in ("recommendations", "movies")}
    except RecoError:
        return ""
    files = {name: house.local(read[name].path) for name in ("run_metrics", "etl_report", "gate", "report")}
    best = reporting.suggestions(
        opened["recommendations"].read(["user_id", "recommendations"]),
        opened["movies"].read(["movie_id", "title"]),
        users=3,
        count=5,
    )
    where = {
        "tables": f"{house.root}/silver, {house.root}/gold",
        "metrics": str(files["run_metrics"]),
        "report": str(files["report"]),
        "rejected rows": f"{house.root}/silver/_quarantine",
    }
    metrics, etl = reporting.read_json(files["run_metrics"]), reporting.read_json(files["etl_report"])
    gate = reporting.read_json(files["gate"])
    return reporting.summary(house.root, metrics, etl, best, gate=gate, where=where)
