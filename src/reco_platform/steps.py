"""How a step runs: restored if its result is at hand, otherwise worked, published and receipted."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from reco_platform import config, journal, receipts, session, storage
from reco_platform.contracts import Contract
from reco_platform.digests import code_digest, step_digest
from reco_platform.errors import ConfigError, RecoError, TableError
from reco_platform.receipts import Receipt
from reco_platform.registry import STEPS, Step

LAST = "last"


@dataclass(frozen=True)
class Task:
    """One step about to run, with its inputs opened as receipts."""

    step: Step
    dataset: str
    root: Path
    receipt_path: Path
    artifact: str
    params: dict[str, Any]
    inputs: dict[str, Receipt]
    threads: int
    log_level: str

    @property
    def identities(self) -> dict[str, str]:
        """What this step's digest sees of each input."""
        reads = self.step.reads
        return {name: receipt.whole if reads[name] else receipt.content for name, receipt in self.inputs.items()}

    @property
    def values(self) -> dict[str, Any]:
        return {key: value for key, value in self.params.items() if key != "code"}

    @property
    def digest(self) -> str:
        return step_digest(f"{self.step.name} {self.artifact}", self.values, self.params["code"], self.identities)

    @property
    def memo(self) -> Path:
        """Where this artifact's earlier receipts lie."""
        target = self.root / self.artifact
        if self.step.name in FILE_STEPS:
            return target.parent / storage.MEMO / target.name
        return target / storage.MEMO

    def log(self, text: str) -> None:
        print(f"[{self.step.name}] {text}", flush=True)

    def open(self, name: str) -> storage.Opened:
        """An input table at exactly the version that its receipt names."""
        receipt = self.inputs[name]
        return storage.open_table(self.root, receipt, rebuild_command(receipt))

    def path(self, name: str) -> Path:
        """An input file or folder, checked against its receipt."""
        receipt = self.inputs[name]
        found = storage.problem(self.root, receipt)
        if found:
            raise TableError(found, f"rebuild it with: {rebuild_command(receipt)}")
        return self.root / receipt.path

    def publish(
        self, staging: Path, contract: Contract, path: str, fingerprint: str, rows: int, facts: dict[str, Any]
    ) -> Receipt:
        """Publishes a staged table and gives its receipt."""
        version = storage.publish_table(
            staging,
            self.root / path,
            storage_format=self.params["storage_format"],
            schema=contract.schema,
            partition_by=contract.partition_by,
            fingerprint=fingerprint,
            rows=rows,
        )
        storage_format = self.params["storage_format"]
        digest = contract.schema_hash
        return Receipt(self.artifact, "table", path, storage_format, version, rows, digest, fingerprint, facts)

    def publish_file(self, path: str, content: str, facts: dict[str, Any] | None = None) -> Receipt:
        """Writes a small file and gives its receipt."""
        target = self.root / path
        receipts.write_text(target, content)
        kind = target.suffix.lstrip(".")
        found = storage.file_fingerprint(target)
        return Receipt(self.artifact, "file", path, kind, None, 0, "", found, facts or {})


FILE_STEPS = ("etl_report", "evaluate", "run_metrics", "report")


def rebuild_command(receipt: Receipt) -> str:
    """The command that rebuilds exactly what a receipt stands for."""
    rule = receipt.made_from.get("step", "bronze")
    return f"snakemake --cores 2 gold --forcerun {rule}{os.environ.get('RECO_OVERRIDES', '')}"


# --- command line


def parser(step: Step, description: str) -> argparse.ArgumentParser:
    """Every script's command line."""
    shape = argparse.ArgumentParser(
        prog=step.script, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shape.add_argument("--lakehouse", required=True, help="root of the lakehouse")
    shape.add_argument("--dataset", default="demo", help="name of the data set")
    shape.add_argument("--receipt", required=True, help="receipt to write; its name says which artifact is made")
    shape.add_argument("--params", default="{}", help=f"JSON over the defaults; keys: {', '.join(step.keys) or 'none'}")
    shape.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads; never changes the result")
    shape.add_argument("--memory", default="2g", help="Java heap of the driver; never changes the result")
    shape.add_argument("--log-level", default="warn", help="Spark's log level")
    for name in step.reads:
        shape.add_argument(f"--{name.replace('_', '-')}", required=True, help=f"receipt of {name}")
    return shape


def task_from(step: Step, arguments: argparse.Namespace) -> Task:
    """A task from the command line.

    Raises:
        ConfigError: for parameters that are not JSON or not allowed.
        TableError: for an input receipt that is missing or damaged.
    """
    try:
        given = json.loads(arguments.params)
    except ValueError as error:
        raise ConfigError(f"--params is not JSON: {error}", f"{step.script} --help") from error
    code = given.pop("code", None) or code_digest(step.script, step.files)
    resolved = config.load(given, {})
    params = {key: getattr(resolved, key) for key in step.keys} | {"code": code}
    receipt_path = Path(arguments.receipt)
    receipt_root = Path("results") / arguments.dataset if "://" in arguments.lakehouse else Path(arguments.lakehouse)
    artifact = str(receipt_path.relative_to(receipt_root)).removesuffix(".receipt.json")
    inputs = {name: receipts.read(getattr(arguments, name)) for name in step.reads}
    root = Path(arguments.lakehouse)
    threads = max(arguments.threads, 1)
    return Task(step, arguments.dataset, root, receipt_path, artifact, params, inputs, threads, arguments.log_level)


# --- running


def run(name: str, description: str, work: Callable[[Task], Receipt], argv: Sequence[str] | None = None) -> int:
    """Runs a script: the exit code of the process."""
    step = STEPS[name]
    arguments = list(sys.argv[1:] if argv is None else argv)
    namespace = parser(step, description).parse_args(arguments)
    started = time.time()
    try:
        task = task_from(step, namespace)
        why = reasons(task)
        if not session.submitted() and restored(task):
            journal.record(name, "restored", why, time.time() - started)
            task.log(f"restored from memo in {time.time() - started:.1f} s, nothing to compute")
            return 0
        if step.spark and not session.submitted():
            task.log(f"works: {'; '.join(why)}")
            session.submit(step.script, arguments, threads=task.threads, memory=namespace.memory)
        receipt = work(task)
        finish(task, receipt, started)
        journal.record(name, "worked", why, time.time() - started)
    except RecoError as error:
        journal.record(name, "failed", [error.what], time.time() - started)
        print(f"[ERROR] {name}: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def restored(task: Task) -> bool:
    """Puts an earlier receipt of the same digest back, if its content is still there."""
    memo = task.memo / f"{task.digest}.json"
    try:
        receipt = receipts.read(memo)
    except RecoError:
        return False
    payload = memo.with_suffix(".payload")
    found = storage.problem(task.root, receipt)
    if found and receipt.kind == "file" and payload.is_file():
        receipts.write_bytes(task.root / receipt.path, payload.read_bytes())
        found = storage.problem(task.root, receipt)
    if found:
        task.log(f"cannot be restored: {found}")
        return False
    if receipt.kind == "table":
        storage.restore_head(task.root, receipt)
    receipts.write_text(task.receipt_path, receipt.text())
    receipts.write_text(task.memo / f"{LAST}.json", receipt.text())
    return True


def finish(task: Task, receipt: Receipt, started: float) -> None:
    """Completes a receipt and writes it, its memo and its provenance."""
    made_from = {
        "step": task.step.name,
        "code": task.params["code"],
        "params": task.values,
        "inputs": task.identities,
    }
    complete = replace(receipt, made_from=made_from)
    memo = task.memo / f"{task.digest}.json"
    if complete.kind == "file":
        receipts.write_bytes(memo.with_suffix(".payload"), (task.root / complete.path).read_bytes())
    receipts.write_text(memo, complete.text())
    receipts.write_text(task.memo / f"{LAST}.json", complete.text())
    receipts.write_text(provenance_path(task.receipt_path), json.dumps(provenance(started), indent=1) + "\n")
    receipts.write_text(task.receipt_path, complete.text())
    task.log(f"made {complete.path}: {complete.rows:,} rows" if complete.kind == "table" else f"made {complete.path}")


def provenance_path(receipt: Path) -> Path:
    return receipt.with_name(receipt.name.replace(".receipt.json", ".provenance.json"))


def provenance(started: float) -> dict[str, Any]:
    """What changes from run to run: when, how long, on what."""
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 2),
        "python": platform.python_version(),
        "peak_memory_mb": usage // 1024,
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    found = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def reasons(task: Task) -> list[str]:
    """Why the step was asked to run: what differs, by name, from the last time."""
    try:
        last = receipts.read(task.memo / f"{LAST}.json")
    except RecoError:
        return ["first run"]
    before = last.made_from
    differs = [
        f"{key} {before['params'].get(key)} -> {value}"
        for key, value in task.values.items()
        if before["params"].get(key) != value
    ]
    differs += [
        f"input {name} changed" for name, found in task.identities.items() if before["inputs"].get(name) != found
    ]
    if before["code"] != task.params["code"]:
        differs.append("code changed")
    found = storage.problem(task.root, last)
    if found:
        differs.append(found)
    return differs or ["asked again, nothing differs"]


def stage_arrow(task: Task, path: str, table: pa.Table) -> Path:
    """A staging folder holding one Parquet file of a table that was made without Spark."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    staging = storage.staging_folder(task.root / path)
    pq.write_table(table, staging / "part-00000.parquet", compression="zstd", row_group_size=1 << 20)
    return staging
