"""What the Snakefile needs before any job: the configuration, the lock, and receipts that still tell the truth."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from reco_platform import config, datasets, journal, layout, receipts, reporting, storage
from reco_platform.digests import SOURCE, canonical, sha256
from reco_platform.errors import ConfigError, RecoError
from reco_platform.layout import TABLES, Lakehouse
from reco_platform.registry import STEPS, parameters

REGISTRY = Path("config/datasets.yaml")
GOLD = ("interactions", "model", "recommendations", "evaluation", "run_metrics", "report")
LOCK = ".lock"
OVERRIDES = "RECO_OVERRIDES"


@dataclass(frozen=True)
class Workflow:
    """One invocation: what was asked for, and where it goes."""

    config: config.Config
    house: Lakehouse
    dataset: datasets.Dataset

    def params(self, name: str) -> str:
        """The canonical parameters of a step, its code included."""
        return canonical(parameters(STEPS[name], self.config))

    @property
    def bronze_params(self) -> str:
        """What decides the bronze files; of a folder, its files are inputs of the rule instead."""
        code = parameters(STEPS["bronze"], self.config)["code"]
        if isinstance(self.dataset, datasets.DirectoryDataset):
            return canonical({"code": code, "kind": "directory", "path": str(self.dataset.path)})
        return canonical({"code": code, "source": sha256(datasets.source_identity(self.dataset))[:16]})

    @property
    def sources(self) -> list[str]:
        """The user's own CSV files, where the data set is a folder."""
        if not isinstance(self.dataset, datasets.DirectoryDataset):
            return []
        return [str(self.dataset.path / f"{table}.csv") for table in datasets.tables(self.dataset)]

    def bronze(self, table: str) -> str:
        return self.house.receipt(self.house.bronze(table))

    def receipt(self, name: str) -> str:
        """The receipt of a step's result."""
        return self.house.receipt(self.house.artifact(name))

    @property
    def silver_receipts(self) -> list[str]:
        return [self.receipt(name) for name in (*TABLES, "etl_report")]

    @property
    def gold_receipts(self) -> list[str]:
        return [self.receipt(name) for name in GOLD]

    @property
    def all_receipts(self) -> list[str]:
        return [*(self.bronze(table) for table in TABLES), *self.silver_receipts, *self.gold_receipts]


def overrides(pairs: Sequence[str]) -> dict[str, str]:
    """What `--config` of the tools says, as keys and values.

    Raises:
        ConfigError: for a word without `=`.
    """
    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"--config {pair!r}: expected KEY=VALUE", "for example --config rank=20")
    return dict(pair.split("=", 1) for pair in pairs)


def prepare(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Workflow:
    """The configuration and the data set that were asked for.

    Raises:
        RecoError: for anything in them that is not allowed.
    """
    resolved = config.load(given, environ)
    dataset = datasets.resolve(datasets.load_registry(REGISTRY), resolved.dataset, resolved.dataset_path)
    datasets.tables(dataset)
    return Workflow(resolved, Lakehouse(resolved.root, resolved.dataset), dataset)


def prepare_or_exit(given: Mapping[str, Any]) -> Workflow:
    """The same; a mistake of the user's ends the process with a message and no stack trace."""
    try:
        return prepare(given)
    except RecoError as error:
        print(f"[ERROR] {error}", file=sys.stderr, flush=True)
        sys.stderr.flush()
        os._exit(error.exit_code)


LOOKING = ("--lint", "--list", "-l", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--summary", "-S", "-D", "--unlock")
DRY = ("-n", "--dry-run", "--dryrun")


def start(workflow: Workflow, given: Mapping[str, Any], argv: Sequence[str]) -> IO[str] | None:
    """Begins a run as its command line asks: a real one, a dry one, or a mere look at the workflow.

    Returns:
        The lock of a real run, held as long as it is open: it ends with the process, however that ends.
    """
    if any(word in LOOKING for word in argv):
        return None
    if any(word in DRY or re.fullmatch(r"-[a-z]*n[a-z]*", word) for word in argv):
        glance(workflow)
        return None
    return begin(workflow, given)


def begin(workflow: Workflow, given: Mapping[str, Any], environ: Any = os.environ) -> IO[str]:
    """Takes the lock, drops receipts that no longer hold, opens the journal, saves the configuration."""
    lock = take_lock(workflow.house.receipts)
    if lock is None:
        message = f"another run holds {workflow.house.receipts} (process {holder(workflow.house.receipts)})"
        print(f"[ERROR] {message}\n  -> wait for it to end, then run again", file=sys.stderr, flush=True)
        os._exit(1)
    drop_stale(workflow)
    pairs = " ".join(shlex.quote(f"{key}={value}") for key, value in given.items())
    environ[OVERRIDES] = f" --config {pairs}" if pairs else ""
    environ["PYTHONPATH"] = str(SOURCE.parent)  # this project's code in every script, and nothing of the user's
    environ[journal.VARIABLE] = str(journal.start(workflow.house.receipts / "_runs").resolve())
    saved = json.dumps(workflow.config.model_dump(), indent=1) + "\n"
    receipts.write_text(workflow.house.receipts / "config.resolved.json", saved)
    return lock


def glance(workflow: Workflow) -> None:
    """Drops receipts that no longer hold, so that a dry run tells the truth: a dropped one can be restored."""
    if not workflow.house.receipts.is_dir():
        return
    lock = take_lock(workflow.house.receipts)
    if lock is None:
        print(f"[INFO] process {holder(workflow.house.receipts)} is at work here: this list may age", file=sys.stderr)
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
    for path in map(Path, workflow.all_receipts):
        if not path.is_file():
            continue
        try:
            found = stale(workflow, receipts.read(path), path)
        except RecoError as error:
            found = error.what
        if found:
            print(f"[stale] {path}: {found}", file=sys.stderr, flush=True)
            path.unlink()


def stale(workflow: Workflow, receipt: receipts.Receipt, path: Path) -> str | None:
    """Why a receipt no longer holds, as far as a quick look can tell."""
    content = workflow.house.local(receipt.path)
    if receipt.kind == "absent" or workflow.house.remote:
        return None
    if not content.exists():
        return f"{content} is gone"
    if receipt.made_from.get("step") == "bronze":
        return changed_csv(content, receipt, path)
    if receipt.version is not None and not storage.head_is(content, receipt):
        return f"{content} was written by something else: its newest version is not {receipt.version}"
    return None


def changed_csv(content: Path, receipt: receipts.Receipt, path: Path) -> str | None:
    """Whether a bronze file differs; it is read only where its size or time of change does."""
    from reco_platform.steps import provenance_path  # noqa: PLC0415

    stat = [content.stat().st_size, content.stat().st_mtime_ns]
    side = provenance_path(path)
    try:
        known = reporting.read_json(side)
    except (OSError, ValueError):
        known = {}
    if known.get("stat") == stat:
        return None
    if storage.file_fingerprint(content) != receipt.fingerprint:
        return f"{content} was changed"
    receipts.write_text(side, json.dumps({**known, "stat": stat}, indent=1) + "\n")
    return None


def closing(workflow: Workflow, environ: Mapping[str, str] = os.environ) -> str:
    """What each step did, for the end of a run."""
    events = journal.read(Path(environ.get(journal.VARIABLE, "")))
    return "Steps of this run\n" + journal.table(events, list(STEPS))


def gold_summary(workflow: Workflow) -> str | None:
    """The summary of what gold holds; None where it is not all there."""
    house = workflow.house
    if house.remote or not all(Path(path).is_file() for path in workflow.gold_receipts):
        return None
    read = {name: receipts.read(house.receipt(name)) for name in (layout.RUN_METRICS, house.etl_report, layout.REPORT)}
    metrics, etl, report = (house.local(read[name].path) for name in read)
    tables = {name: receipts.read(house.receipt(name)) for name in (layout.RECOMMENDATIONS, layout.silver("movies"))}
    opened = {name: storage.open_table(Path(house.root), found, "snakemake gold") for name, found in tables.items()}
    best = reporting.suggestions(
        opened[layout.RECOMMENDATIONS].read(["user_id", "recommendations"]),
        opened[layout.silver("movies")].read(["movie_id", "title"]),
        users=3,
        count=5,
    )
    where = {
        "tables": f"{house.root}/silver, {house.root}/gold",
        "metrics": str(metrics),
        "report": str(report),
        "rejected rows": f"{house.root}/silver/_quarantine",
    }
    return reporting.summary(house.root, reporting.read_json(metrics), reporting.read_json(etl), best, where)
