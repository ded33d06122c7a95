"""How a step runs: restored if its result is at hand, otherwise worked, published and receipted."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from reco_platform.config import commands
from reco_platform.config.load import load_config
from reco_platform.core import os_limits, parent_watch, project
from reco_platform.core.errors import ConfigError, EnvironmentProblemError, RecoError, TableError
from reco_platform.core.hashing import code_digest, code_parts, step_digest
from reco_platform.engine import journal
from reco_platform.engine.attempt import Attempt, peak_memory_mb
from reco_platform.lakehouse import layout, publishing, quarantine, receipts, storage
from reco_platform.lakehouse.contracts import Contract
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS, Step
from reco_platform.spark import submit
from reco_platform.store import atomic_write, file_fingerprint
from reco_platform.store.paths import StorePath

# What Snakemake's main process tells every script of a run, besides where it works.
MEMORY, LOG_LEVEL = "RECO_MEMORY", "RECO_LOG_LEVEL"
OVERRIDES, ETL_ENGINE, TARGET = "RECO_OVERRIDES", "RECO_ETL_ENGINE", "RECO_TARGET"
FORCE_OVERWRITE = "RECO_FORCE_OVERWRITE"

LAST = "last"
QUALITY_FINGERPRINT = "quality_fingerprint"
"""The fact of a silver table that names the report on its quality."""

FIRST_RUN, NOTHING_DIFFERS = "first run", "asked again, nothing differs"


@dataclass(frozen=True)
class Task:
    """One step about to run, with its inputs opened as receipts."""

    step: Step
    dataset: str
    root: StorePath
    receipt_path: Path
    artifact: str
    params: dict[str, Any]
    inputs: dict[str, Receipt]
    threads: int
    log_level: str

    @property
    def identities(self) -> dict[str, str]:
        """What this step's digest sees of each input."""
        return {name: identity(self.step, receipt) for name, receipt in self.inputs.items()}

    @property
    def values(self) -> dict[str, Any]:
        return {key: value for key, value in self.params.items() if key != "code"}

    @property
    def digest(self) -> str:
        return step_digest(f"{self.step.name} {self.artifact}", self.values, self.params["code"], self.identities)

    @property
    def memo(self) -> StorePath:
        """Where this artifact's earlier receipts lie."""
        return memo_folder(self.step, self.root, self.artifact)

    @property
    def made_from(self) -> dict[str, Any]:
        """What its receipt will say of how it was made."""
        return {
            "step": self.step.name,
            "code": self.params["code"],
            "params": self.values,
            "inputs": self.identities,
        }

    def say(self, text: str) -> None:
        print(f"[{self.step.name}] {text}", flush=True)

    def log(self, text: str) -> None:
        """Says how the work goes on, to a person and to the journal."""
        self.say(text)
        journal.record("progress", self.step.name, self.artifact, text=text)

    def open(self, name: str) -> storage.Opened:
        """An input table at exactly the version that its receipt names."""
        receipt = self.inputs[name]
        return storage.open_table(self.root, receipt, rebuild_command(self.root, receipt))

    def path(self, name: str) -> Path:
        """An input file or folder on this machine, checked against its receipt."""
        return storage.path_of(self.root, self.checked(name))

    def checked(self, name: str) -> Receipt:
        """The receipt of an input that holds what it says.

        Raises:
            TableError: if it does not.
        """
        receipt = self.inputs[name]
        found = storage.problem(self.root, receipt)
        if found:
            raise TableError(found, f"rebuild it with: {rebuild_command(self.root, receipt)}")
        return receipt

    @property
    def lakehouse(self) -> Lakehouse:
        return Lakehouse(str(self.root), self.dataset)

    def uri(self, name: str) -> str:
        """Where an input folder lies, for Spark; checked against its receipt."""
        return (self.root / self.checked(name).path).absolute().as_uri()

    def publish(
        self, staging: StorePath, contract: Contract, path: str, *, fingerprint: str, rows: int, facts: dict[str, Any]
    ) -> Receipt:
        """Publishes a staged table and gives its receipt."""
        version = self.publish_rows(
            staging, path, contract.schema, contract.partition_by, fingerprint=fingerprint, rows=rows
        )
        storage_format = self.params["storage_format"]
        digest = contract.schema_hash
        return Receipt(self.artifact, "table", path, storage_format, version, rows, digest, fingerprint, facts)

    def publish_rows(
        self,
        staging: StorePath,
        path: str,
        schema: pa.Schema,
        partition_by: Sequence[str],
        *,
        fingerprint: str,
        rows: int,
    ) -> int | None:
        """Publishes a staged table, in place of whatever stands in its way where the run may overwrite; its version."""
        target, storage_format = self.root / path, self.params["storage_format"]
        if os.environ.get(FORCE_OVERWRITE):
            publishing.make_room(target, storage_format, self.dataset)
        return publishing.publish_table(
            staging,
            target,
            storage_format=storage_format,
            schema=schema,
            partition_by=partition_by,
            fingerprint=fingerprint,
            rows=rows,
            dataset=self.dataset,
        )

    def publish_file(self, path: str, content: str, facts: dict[str, Any] | None = None) -> Receipt:
        """Writes a small file and gives its receipt."""
        target = self.root / path
        atomic_write.write_text(target, content)
        kind = target.suffix.lstrip(".")
        found = file_fingerprint.file_fingerprint(target)
        return Receipt(self.artifact, "file", path, kind, None, 0, "", found, facts or {})


def identity(step: Step, receipt: Receipt) -> str:
    """What a step's digest sees of an input."""
    return receipt.whole if step.reads_facts else receipt.content


def memo_folder(step: Step, root: StorePath, artifact: str) -> StorePath:
    """Where the earlier receipts of an artifact lie, by digest: inside its folder, or beside its file."""
    target = root / artifact
    return target.parent / storage.MEMO / target.name if step.makes_file else target / storage.MEMO


def memo_entries(folder: StorePath) -> list[StorePath]:
    """The receipts that a memo holds, the newest first."""
    paths = [path for path in folder.glob("*.json") if path.stem != LAST]
    return sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def remembered(path: StorePath) -> Receipt | None:
    """A receipt of a memo; None where it cannot be read."""
    try:
        return receipts.read(path)
    except TableError:
        return None


def rebuild_command(root: StorePath, receipt: Receipt) -> str:
    """The command that rebuilds exactly what a receipt stands for, as part of a run like this one."""
    rule = receipt.made_from.get("step", "bronze")
    target = os.environ.get(TARGET, "gold")
    given = os.environ.get(OVERRIDES, "")
    if blocked(root, receipt, os.environ.get(layout.DATASET, "")) and f"{commands.FORCE}=" not in given:
        given = f"{given or '--config'} {commands.FORCE}=true"
    return commands.as_typed(target, rule, given)


def blocked(root: StorePath, receipt: Receipt, dataset: str) -> bool:
    """Whether what stands at a table's path keeps its step from making it again."""
    return receipt.kind == "table" and publishing.obstacle(root / receipt.path, receipt.format, dataset) is not None


# --- command line


def parser(step: Step, description: str) -> argparse.ArgumentParser:
    """Every script's command line."""
    shape = argparse.ArgumentParser(
        prog=step.script, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_place(shape)
    shape.add_argument("--receipt", required=True, help="receipt to write; its name says which artifact is made")
    shape.add_argument("--params", default="{}", help=f"JSON over the defaults; keys: {', '.join(step.keys) or 'none'}")
    shape.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads; never changes the result")
    memory, level = os.environ.get(MEMORY, "2g"), os.environ.get(LOG_LEVEL, "warn")
    shape.add_argument("--memory", default=memory, help="Java heap of the driver; never changes the result")
    shape.add_argument("--log-level", default=level, help="Spark's log level")
    shape.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)  # before spark-submit
    for name in step.reads:
        shape.add_argument(f"--{name.replace('_', '-')}", required=True, help=f"receipt of {name}")
    return shape


def add_place(shape: argparse.ArgumentParser) -> None:
    """Options that say where a script works; within a run of Snakemake the environment says it."""
    lakehouse = os.environ.get(layout.LAKEHOUSE)
    shape.add_argument("--lakehouse", required=lakehouse is None, default=lakehouse, help="root of the lakehouse")
    shape.add_argument("--dataset", default=os.environ.get(layout.DATASET, "demo"), help="name of the data set")


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
    own = {key: given.pop(key) for key in step.own}
    resolved = load_config(given, {})
    values = resolved.model_dump(mode="json")
    params = {key: values[key] for key in step.keys} | own | {"code": code}
    receipt_path, artifact = Path(arguments.receipt), artifact_of(arguments)
    lakehouse = Lakehouse(arguments.lakehouse, arguments.dataset)
    inputs = {name: receipts.read(getattr(arguments, name)) for name in step.reads}
    if step.reads_trials:
        inputs |= {name: receipts.read(lakehouse.receipt(layout.trial(name))) for name, _ in params["cells"]}
    threads = max(arguments.threads, 1)
    return Task(
        step, arguments.dataset, lakehouse.path, receipt_path, artifact, params, inputs, threads, arguments.log_level
    )


def artifact_of(arguments: argparse.Namespace) -> str:
    """What the command line asks for, by the name of its receipt."""
    records = Lakehouse(arguments.lakehouse, arguments.dataset).records
    return str(Path(arguments.receipt).relative_to(records)).removesuffix(layout.RECEIPT)


# --- running


def never(_: Task) -> bool:
    return False


def run(
    name: str,
    description: str,
    work: Callable[[Task], Receipt],
    needs_spark: Callable[[Task], bool] = never,
    argv: Sequence[str] | None = None,
) -> int:
    """Runs a script.

    Args:
        name: of its step.
        description: for its help.
        work: makes the result and publishes it.
        needs_spark: whether that takes a Spark session; the script then goes on as spark-submit.
        argv: the command line, for tests.

    Returns:
        The exit code of the process.
    """
    step = STEPS[name]
    arguments = list(sys.argv[1:] if argv is None else argv)
    namespace = parser(step, description).parse_args(arguments)
    attempt = Attempt(step, namespace.lakehouse, artifact_of(namespace), namespace.started)
    parent_watch.watch_run()
    parent_watch.install_signal_handlers()
    if not submit.in_spark_submit():
        attempt.begin()
    try:
        task = task_from(step, namespace)
        attempt = replace(attempt, code=task.params["code"], inputs=task.inputs)
        why = reasons(task)
        lost = memo_problem(task)
        if lost is None and not submit.in_spark_submit():
            attempt.end("restored", why, [restore(task)])
            task.say(f"restored from memo in {time.time() - attempt.started:.1f} s, nothing to compute")
            return 0
        why += [lost] if lost and lost not in why else []
        if needs_spark(task) and not submit.in_spark_submit():
            task.say(f"works: {'; '.join(why)}")
            submit.exec_spark_submit(
                spark_command(task, [*arguments, "--started", repr(attempt.started)], namespace.memory)
            )
        receipt = finish(task, work(task), attempt.started)
        if receipt.failed:
            attempt.end("failed", [receipt.facts["error"]], [receipt])
        else:
            attempt.end("worked", why, [receipt])
    except BaseException as error:
        return failed(name, attempt, error)
    return 0


def failed(name: str, attempt: Attempt, error: BaseException) -> int:
    """Ends an attempt of a step with what went wrong, and says it; gives the exit code of the process.

    Raises:
        BaseException: the error itself, if it is none that a user can mend.
    """
    if isinstance(error, KeyboardInterrupt):
        stopped = parent_watch.as_stopped(error)
        why, said, code = str(stopped), f"{stopped}\n  -> {parent_watch.RERUN_HINT}", stopped.exit_code
    else:
        found = error if isinstance(error, RecoError) else os_limits.resource_error(error)
        if found is None and submit.spark_java_exited():
            found = EnvironmentProblemError(*os_limits.JAVA_ENDED)
        if found is None:
            attempt.end("failed", [f"{type(error).__name__}: {error}"])
            raise error
        why, said, code = found.message, str(found), found.exit_code
    attempt.end("failed", [why])
    print(f"[ERROR] {name}: {said}", file=sys.stderr, flush=True)
    return code


def spark_command(task: Task, arguments: Sequence[str], memory: str) -> list[str]:
    """The command by which a step goes on with Spark."""
    size = input_bytes(task)
    script = str(project.file(task.step.script))
    return submit.submit_command(script, arguments, threads=task.threads, memory=memory, input_bytes=size)


def input_bytes(task: Task) -> int:
    """The size of everything that a step reads."""
    return sum(storage.content_bytes(task.root, receipt) for receipt in task.inputs.values())


def memo_problem(task: Task) -> str | None:
    """Why no earlier result of the same digest can be restored: empty where none was made; None if it can.

    Every byte is compared: what is restored is whole.
    """
    try:
        receipt = receipts.read(memo_path(task))
    except TableError:
        return ""
    aside = aside_of(task, receipt)
    if aside and not payload_holds(task, *aside):
        return f"the memo no longer holds {task.root / aside[0]}"
    if receipt.kind == "file":
        return None
    return storage.whole_problem(task.root, receipt) or quarantine.problem(task.root, receipt)


def aside_of(task: Task, receipt: Receipt) -> tuple[str, str] | None:
    """The small file whose content the memo keeps, with its fingerprint: a file itself, the quality report of a table.

    Unlike a table, such a file has no older versions.
    """
    if receipt.kind == "file":
        return receipt.path, receipt.fingerprint
    found = receipt.facts.get(QUALITY_FINGERPRINT)
    return (task.lakehouse.quality_report(Path(receipt.artifact).name), found) if found else None


def payload_holds(task: Task, path: str, fingerprint: str) -> bool:
    try:
        content = payload_path(task).read_bytes()
    except OSError:
        return False
    return file_fingerprint.content_fingerprint(content, Path(path).suffix) == fingerprint


def memo_path(task: Task) -> StorePath:
    return task.memo / f"{task.digest}.json"


def payload_path(task: Task) -> StorePath:
    """Where the memo keeps the content of a small file."""
    return memo_path(task).with_suffix(".payload")


def restore(task: Task) -> Receipt:
    """Makes an earlier result of the same digest the current one, and gives its receipt."""
    receipt = receipts.read(memo_path(task))
    aside = aside_of(task, receipt)
    if aside and not file_fingerprint.holds_file(task.root / aside[0], aside[1]):
        atomic_write.write_bytes(task.root / aside[0], payload_path(task).read_bytes())
    if receipt.kind == "table":
        publishing.restore_head(task.root, receipt)
    atomic_write.write_text(task.memo / f"{LAST}.json", receipt.text())
    atomic_write.write_text(task.receipt_path, receipt.text())
    return receipt


def finish(task: Task, receipt: Receipt, started: float) -> Receipt:
    """Completes a receipt and writes it, its memo and its provenance."""
    complete = replace(receipt, made_from=task.made_from)
    side = {**provenance(started), "code": code_parts(task.step.script, task.step.files)}
    atomic_write.write_text(provenance_path(task.receipt_path), json.dumps(side, indent=1) + "\n")
    if complete.lasting:
        remember(task, complete)  # after its provenance, which no run that restores it can write
    atomic_write.write_text(task.receipt_path, complete.text())
    task.say(f"made {complete.path}: {complete.rows:,} rows" if complete.kind == "table" else f"made {complete.path}")
    return complete


def remember(task: Task, receipt: Receipt) -> None:
    """Files a receipt in the memo, with the small file that belongs to it."""
    aside = aside_of(task, receipt)
    if aside:
        atomic_write.write_bytes(payload_path(task), (task.root / aside[0]).read_bytes())
    atomic_write.write_text(memo_path(task), receipt.text())
    atomic_write.write_text(task.memo / f"{LAST}.json", receipt.text())


def provenance_path(receipt: Path) -> Path:
    return receipt.with_name(receipt.name.replace(layout.RECEIPT, layout.PROVENANCE))


def provenance(started: float) -> dict[str, Any]:
    """What changes from run to run: when, how long, on what."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 2),
        "python": platform.python_version(),
        "peak_memory_mb": peak_memory_mb(),
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
    except TableError:
        return [FIRST_RUN]
    differs = differences(task.step, last.made_from, task.made_from, provenance_path(task.receipt_path))
    found = storage.problem(task.root, last)
    if found:
        differs.append(found)
    return differs or [NOTHING_DIFFERS]


def differences(step: Step, before: Mapping[str, Any], now: Mapping[str, Any], side: Path) -> list[str]:
    """What differs between two `made_from`, by name; `side` is the provenance that names the code of the first."""
    params = {**before["params"], **now["params"]}
    differs = [
        f"{key} {before['params'].get(key)} -> {now['params'].get(key)}"
        for key in params
        if before["params"].get(key) != now["params"].get(key)
    ]
    differs += [f"input {name} changed" for name, found in now["inputs"].items() if before["inputs"].get(name) != found]
    if before["code"] != now["code"]:
        differs.append(code_difference(step, side))
    return differs


def code_difference(step: Step, side: Path) -> str:
    """Which files or packages of a step's code changed, as far as its provenance can tell."""
    try:
        before = json.loads(side.read_text(encoding="utf-8"))["code"]
    except (OSError, ValueError, KeyError):
        return "code changed"
    now = code_parts(step.script, step.files)
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return f"code changed: {', '.join(changed)}" if changed else "code changed"


def stage_arrow(task: Task, path: str, table: pa.Table) -> Path:
    """A staging folder holding one Parquet file of a table that was made without Spark."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    staging = publishing.staging_folder(task.root / path)
    pq.write_table(table, staging / "part-00000.parquet", compression="zstd", row_group_size=1 << 20)
    return staging
