"""What the next run of gold would do, step by step and why, without running or changing anything.

Each step is asked what its script will ask: is there an earlier result of the same digest? Where that depends on the
content of a result that is still to be made, the answer is that it depends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from reco_platform.core.errors import TableError
from reco_platform.datasets import bronze
from reco_platform.datasets import registry as datasets
from reco_platform.engine import memo, provenance
from reco_platform.engine.task import Task
from reco_platform.lakehouse import receipts
from reco_platform.lakehouse.layout import TABLES
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline import staleness
from reco_platform.pipeline.steps_table import SILVER, STEP_OF, STEPS, Step, artifact_of, input_artifacts, parameters
from reco_platform.pipeline.workflow import Workflow
from reco_platform.tracking import client as tracking

State = Literal["up to date", "restores", "works", "depends"]


@dataclass(frozen=True)
class Outlook:
    """What a step will do.

    Attributes:
        step: its name.
        state: `up to date`: it is not asked. `restores`: its result was made before and is put back. `works`: it
            computes. `depends`: it computes unless the inputs that are made before it come out as they were.
        why: in words.
    """

    step: str
    state: State
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"  {self.step:<15} {self.state:<11} {'; '.join(self.why)}".rstrip()


@dataclass(frozen=True)
class Status:
    """The outlook of every step, and what the run will warn of at its start."""

    lakehouse: str
    steps: tuple[Outlook, ...]
    warnings: tuple[str, ...]

    def count(self, state: State) -> int:
        return sum(one.state == state for one in self.steps)

    @property
    def stale(self) -> bool:
        return any(one.state != "up to date" for one in self.steps)

    def as_json(self) -> dict[str, Any]:
        found = [{"step": one.step, "state": one.state, "why": list(one.why)} for one in self.steps]
        return {"lakehouse": self.lakehouse, "stale": self.stale, "steps": found, "warnings": list(self.warnings)}

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"Lakehouse {self.lakehouse}"
        yield from map(str, self.steps)
        yield from (f"[WARNING] {warning}" for warning in self.warnings)
        if not self.stale:
            yield "Everything is up to date"
            return
        said: dict[State, str] = {"works": "work", "depends": "depend on what comes out", "restores": "are restored"}
        parts = [f"{count} {words}" for state, words in said.items() if (count := self.count(state))]
        yield f"Of {len(self.steps)} steps {', '.join(parts)}"


@dataclass
class Ahead:
    """What is known of the results as they will be.

    Attributes:
        results: by artifact; None where only the run will tell.
        asked: the artifacts that the run will make or restore.
    """

    results: dict[str, Receipt | None] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)


def status(workflow: Workflow) -> Status:
    """What the next run of gold would do.

    Raises:
        TableError: the lakehouse holds tables that are not the pipeline's, so that a run would stop at once.
    """
    staleness.refuse_foreign(workflow)
    ahead = Ahead()
    found = [of_bronze(workflow, ahead)]
    wanted = {STEP_OF[name].name for name in (*SILVER, *workflow.gold)}
    found += [of_step(workflow, step, ahead) for step in STEPS.values() if step.name in wanted]
    return Status(workflow.lakehouse.root, tuple(found), tuple(warnings(workflow, ahead)))


def warnings(workflow: Workflow, ahead: Ahead) -> Iterator[str]:
    for artifact in ahead.results:
        receipt, problem = current(workflow, artifact)
        damage = receipt and not problem and staleness.damage(workflow, receipt)
        if damage:
            yield damage


def current(workflow: Workflow, artifact: str) -> tuple[Receipt | None, str | None]:
    """The receipt of an artifact as it is, and why it does not hold."""
    path = Path(workflow.lakehouse.receipt(artifact))
    if not path.is_file():
        return None, "its receipt is missing"
    try:
        receipt = receipts.read(path)
        return receipt, staleness.stale(workflow, receipt, path)
    except TableError as error:
        return None, error.message


# --- the CSV files


def of_bronze(workflow: Workflow, ahead: Ahead) -> Outlook:
    artifacts = {table: workflow.lakehouse.bronze(table) for table in TABLES}
    found = {table: current(workflow, artifact) for table, artifact in artifacts.items()}
    filed = {staleness.described_beside(Path(workflow.bronze(table))).get("params") for table in TABLES}
    problems = [problem for _, problem in found.values() if problem]
    if not problems and filed == {workflow.bronze_params}:
        ahead.results |= {artifacts[table]: receipt for table, (receipt, _) in found.items()}
        return Outlook("bronze", "up to date")
    ahead.asked |= set(artifacts.values())
    brought = not bronze.is_imported(workflow.dataset, workflow.lakehouse)
    now = {table: csv_ahead(workflow, table, brought=brought) for table in TABLES}
    ahead.results |= {artifacts[table]: receipt for table, receipt in now.items()}
    changed = [f"{table}.csv changed" for table, receipt in now.items() if differs_from_memo(workflow, table, receipt)]
    if brought or changed:
        return Outlook("bronze", "works", tuple(problems or changed or ["its source changed"]))
    return Outlook("bronze", "restores", tuple(problems or ["asked again, same bytes"]))


def csv_ahead(workflow: Workflow, table: str, *, brought: bool) -> Receipt | None:
    """The receipt that a CSV file will have; None where its bytes are still to be made or downloaded."""
    dataset, lakehouse = workflow.dataset, workflow.lakehouse
    if not brought or isinstance(dataset, datasets.DirectoryDataset):
        return bronze.csv_receipt(dataset, lakehouse, table, datasets.own_csv_file(dataset, table) if brought else None)
    registered = bronze.registered_sha256(dataset, table)
    if table not in datasets.tables(dataset) or registered is None:
        return None
    path = f"{lakehouse.bronze(table)}.csv"
    return Receipt(lakehouse.bronze(table), "file", path, "csv", fingerprint=registered[:16])


def differs_from_memo(workflow: Workflow, table: str, receipt: Receipt | None) -> bool:
    memo = bronze.memo_path(workflow.lakehouse, table)
    return receipt is None or not memo.is_file() or memo.read_text(encoding="utf-8") != receipt.text()


# --- the other steps


def of_step(workflow: Workflow, step: Step, ahead: Ahead) -> Outlook:
    artifact = artifact_of(step.makes, workflow.lakehouse.dataset)
    sources = input_artifacts(step, workflow.lakehouse, workflow.config)
    outlook, ahead.results[artifact] = foreseen(workflow, step, artifact, sources, ahead)
    if outlook.state != "up to date":
        ahead.asked.add(artifact)
    return outlook


def foreseen(
    workflow: Workflow, step: Step, artifact: str, sources: Mapping[str, str], ahead: Ahead
) -> tuple[Outlook, Receipt | None]:
    """A step's outlook, and its receipt as it will be, where that is known."""
    now, problem = current(workflow, artifact)
    if step.makes in {"gate", "tracking"} and staleness.store_is_lost(workflow):
        return Outlook(step.name, "works", (f"{tracking.DATABASE} is gone",)), None
    inputs = {name: ahead.results[source] for name, source in sources.items()}
    unknown = [name for name, receipt in inputs.items() if receipt is None]
    known = {name: receipt for name, receipt in inputs.items() if receipt is not None}
    task = task_of(workflow, step, artifact, known)
    problems = [problem] if problem else []
    if unknown:
        why = [*own_reasons(task, now, problems), f"before it: {', '.join(unknown)}"]
        return Outlook(step.name, "depends" if made_so_before(task) else "works", tuple(why)), None
    same = now is not None and problem is None and now.made_from == task.made_from
    asked = any(source in ahead.asked for source in sources.values()) or lacks_copy(workflow, step)
    if same and not asked:
        return Outlook(step.name, "up to date"), now
    lost = memo.restore_problem(task)
    reasons = provenance.reasons(task)
    why = reasons if reasons == [provenance.FIRST_RUN] else list(dict.fromkeys([*problems, *reasons]))
    why = [reason for reason in why if reason != provenance.UNCHANGED or len(why) == 1]
    if lost is None:
        return Outlook(step.name, "restores", tuple(why)), receipts.read(memo.entry_path(task))
    return Outlook(step.name, "works", tuple(why + [lost] * (lost not in ("", *why)))), None


def task_of(workflow: Workflow, step: Step, artifact: str, inputs: Mapping[str, Receipt]) -> Task:
    """The task that the step's script will make for itself."""
    lakehouse = workflow.lakehouse
    receipt, params = Path(lakehouse.receipt(artifact)), parameters(step, workflow.config)
    return Task(step, lakehouse.dataset, lakehouse.path, receipt, artifact, params, dict(inputs), 1, "warn")


def made_so_before(task: Task) -> bool:
    """Whether any earlier result has the same parameters and code, so that it may be restored for some input."""
    wanted = {key: task.made_from[key] for key in ("params", "code")}
    found = (memo.read_or_none(path) for path in memo.entries(task.memo))
    return any(wanted.items() <= receipt.made_from.items() for receipt in found if receipt)


def own_reasons(task: Task, before: Receipt | None, problems: list[str]) -> list[str]:
    """What differs in a step's own parameters and code, whatever its inputs will be."""
    if before is None:
        return problems if memo.entries(task.memo) else [provenance.FIRST_RUN]
    provenance_file = provenance.provenance_path(task.receipt_path)
    return problems + provenance.differences(
        task.step, before.made_from, {**task.made_from, "inputs": {}}, provenance_file
    )


def lacks_copy(workflow: Workflow, step: Step) -> bool:
    """Whether the copy for Snakemake's report is gone, so that the step is asked to run."""
    copy = step.report_copy
    return copy is not None and not Path(workflow.latest(copy.file)).is_file()
