"""What the Snakefile needs before any job: the configuration, the lock, and receipts that still tell the truth."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from reco_platform import config, datasets, journal, layout, receipts, reporting, storage
from reco_platform.digests import canonical, sha256
from reco_platform.errors import RecoError
from reco_platform.layout import TABLES, Lakehouse
from reco_platform.registry import STEPS, parameters

REGISTRY = Path("config/datasets.yaml")
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

    def silver(self, table: str) -> str:
        return self.house.receipt(layout.silver(table))

    def receipt(self, artifact: str) -> str:
        return self.house.receipt(artifact)

    @property
    def silver_receipts(self) -> list[str]:
        return [*(self.silver(table) for table in TABLES), self.receipt(self.house.etl_report)]

    @property
    def gold_receipts(self) -> list[str]:
        artifacts = (layout.INTERACTIONS, layout.MODELS, layout.RECOMMENDATIONS)
        files = (f"{layout.EVALUATION}/evaluation", layout.RUN_METRICS, layout.REPORT)
        return [self.receipt(artifact) for artifact in (*artifacts, *files)]

    @property
    def all_receipts(self) -> list[str]:
        return [*(self.bronze(table) for table in TABLES), *self.silver_receipts, *self.gold_receipts]


def prepare(overrides: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Workflow:
    """The configuration and the data set that were asked for.

    Raises:
        RecoError: for anything in them that is not allowed.
    """
    resolved = config.load(overrides, environ)
    dataset = datasets.resolve(datasets.load_registry(REGISTRY), resolved.dataset, resolved.dataset_path)
    datasets.tables(dataset)
    return Workflow(resolved, Lakehouse(resolved.root, resolved.dataset), dataset)


def prepare_or_exit(overrides: Mapping[str, Any]) -> Workflow:
    """The same; a mistake of the user's ends the process with a message and no stack trace."""
    try:
        return prepare(overrides)
    except RecoError as error:
        print(f"[ERROR] {error}", file=sys.stderr, flush=True)
        sys.stderr.flush()
        os._exit(error.exit_code)


def begin(workflow: Workflow, overrides: Mapping[str, Any], environ: Any = os.environ) -> IO[str]:
    """Starts a run: takes the lock, drops receipts that no longer hold, opens the journal. Main process only.

    Returns:
        The lock, held as long as it is open: it ends with the process, however that ends.
    """
    lock = hold_lock(workflow.house.receipts)
    drop_stale(workflow)
    given = " ".join(shlex.quote(f"{key}={value}") for key, value in overrides.items())
    environ[OVERRIDES] = f" --config {given}" if given else ""
    environ[journal.VARIABLE] = str(journal.start(workflow.house.receipts / "_runs").resolve())
    saved = json.dumps(workflow.config.model_dump(), indent=1) + "\n"
    receipts.write_text(workflow.house.receipts / "config.resolved.json", saved)
    return lock


def hold_lock(folder: Path) -> IO[str]:
    """The lock of a lakehouse; says who holds it and ends the process where another run does."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        message = f"another run holds {folder} (process {holder})\n  -> wait for it to end, then run again"
        print(f"[ERROR] {message}", file=sys.stderr, flush=True)
        os._exit(1)
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


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
