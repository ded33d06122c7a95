"""The plan of the next run of gold: what each step would do and why, without running or changing anything.

Each step is checked as its script checks it: is there an earlier result with the same digest? If an input is still to
be computed, its content is not known, and the state of the step is `depends`.
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
from reco_platform.pipeline.steps_table import STEP_OF, STEPS, Step, artifact_of, input_artifacts, parameters
from reco_platform.pipeline.workflow import Workflow
from reco_platform.tracking import client as tracking

State = Literal["up to date", "restores", "works", "depends"]


@dataclass(frozen=True)
class StepPlan:
    """What a step will do.

    Attributes:
        step: name of the step.
        state: `up to date`: it does not run. `restores`: it restores an earlier result from the memo. `works`: it
            computes. `depends`: it computes unless the inputs that are recomputed before it turn out unchanged.
        why: the reasons, as text.
    """

    step: str
    state: State
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"  {self.step:<15} {self.state:<11} {'; '.join(self.why)}".rstrip()


@dataclass(frozen=True)
class Status:
    """The plan of every step, and the warnings that the run will print at its start."""

    lakehouse: str
    steps: tuple[StepPlan, ...]
    warnings: tuple[str, ...]

    def count(self, state: State) -> int:
        return sum(step.state == state for step in self.steps)

    @property
    def stale(self) -> bool:
        return any(step.state != "up to date" for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        steps = [{"step": plan.step, "state": plan.state, "why": list(plan.why)} for plan in self.steps]
        return {"lakehouse": self.lakehouse, "stale": self.stale, "steps": steps, "warnings": list(self.warnings)}

    def lines(self) -> Iterator[str]:
        """The status as text for the terminal."""
        yield f"Lakehouse {self.lakehouse}"
        yield from map(str, self.steps)
        yield from (f"[WARNING] {warning}" for warning in self.warnings)
        if not self.stale:
            yield "Everything is up to date"
            return
        verbs: dict[State, str] = {
            "works": "will compute", "depends": "depend on their inputs", "restores": "will be restored",
        }  # fmt: skip
        parts = [f"{count} {verb}" for state, verb in verbs.items() if (count := self.count(state))]
        yield f"Of {len(self.steps)} steps: {', '.join(parts)}"


@dataclass
class ExpectedResults:
    """The expected results of the next run.

    Attributes:
        results: the expected receipt by artifact; None if it is not known before the run.
        reruns: the artifacts whose step will run.
    """

    results: dict[str, Receipt | None] = field(default_factory=dict)
    reruns: set[str] = field(default_factory=set)


def status(workflow: Workflow) -> Status:
    """What the next run of gold would do.

    Raises:
        TableError: the lakehouse holds foreign tables, so that a run would fail at its start.
    """
    staleness.refuse_foreign_tables(workflow)
    staleness.refuse_damaged_dictionaries(workflow)
    expected = ExpectedResults()
    plans = [plan_bronze(workflow, expected)]
    wanted = {STEP_OF[name].name for name in (*workflow.silver, *workflow.gold)}
    plans += [plan_step(workflow, step, expected) for step in STEPS.values() if step.name in wanted]
    return Status(workflow.lakehouse.root, tuple(plans), tuple(warnings(workflow, expected)))


def warnings(workflow: Workflow, expected: ExpectedResults) -> Iterator[str]:
    for artifact in expected.results:
        receipt, problem = current(workflow, artifact)
        damage = receipt and not problem and staleness.damage(workflow, receipt)
        if damage:
            yield damage


def current(workflow: Workflow, artifact: str) -> tuple[Receipt | None, str | None]:
    """The current receipt of an artifact, and why it is stale; None for each if there is none."""
    path = Path(workflow.lakehouse.receipt(artifact))
    if not path.is_file():
        return None, "its receipt is missing"
    try:
        receipt = receipts.read(path)
        return receipt, staleness.stale_reason(workflow, receipt, path)
    except TableError as error:
        return None, error.message


# --- the CSV files


def plan_bronze(workflow: Workflow, expected: ExpectedResults) -> StepPlan:
    names = (*TABLES, *datasets.dictionaries(workflow.dataset))
    artifacts = {name: workflow.lakehouse.bronze(name) for name in names}
    receipts_now = {table: current(workflow, artifact) for table, artifact in artifacts.items()}
    recorded = {staleness.read_provenance(Path(workflow.bronze(table))).get("params") for table in names}
    problems = [problem for _, problem in receipts_now.values() if problem]
    if not problems and recorded == {workflow.bronze_params}:
        expected.results |= {artifacts[table]: receipt for table, (receipt, _) in receipts_now.items()}
        return StepPlan("bronze", "up to date")
    expected.reruns |= set(artifacts.values())
    must_acquire = not bronze.is_imported(workflow.dataset, workflow.lakehouse)
    after = {table: expected_csv(workflow, table, must_acquire=must_acquire) for table in names}
    expected.results |= {artifacts[table]: receipt for table, receipt in after.items()}
    changed = [
        f"{table}.csv changed" for table, receipt in after.items() if differs_from_memo(workflow, table, receipt)
    ]
    if must_acquire or changed:
        return StepPlan("bronze", "works", tuple(problems or changed or ["its source changed"]))
    return StepPlan("bronze", "restores", tuple(problems or ["requested again, same bytes"]))


def expected_csv(workflow: Workflow, table: str, *, must_acquire: bool) -> Receipt | None:
    """The expected receipt of a CSV file; None if the file is still to be generated or downloaded."""
    dataset, lakehouse = workflow.dataset, workflow.lakehouse
    own = datasets.own_csv_file(dataset, table)
    if not must_acquire or own is not None:
        return bronze.csv_receipt(dataset, lakehouse, table, own if must_acquire else None)
    registered = bronze.registered_sha256(dataset, table)
    if table not in datasets.tables(dataset) or registered is None:
        return None
    path = f"{lakehouse.bronze(table)}.csv"
    return Receipt(lakehouse.bronze(table), "file", path, "csv", fingerprint=registered[:16])


def differs_from_memo(workflow: Workflow, table: str, receipt: Receipt | None) -> bool:
    memo = bronze.memo_path(workflow.lakehouse, table)
    return receipt is None or not memo.is_file() or memo.read_text(encoding="utf-8") != receipt.text()


# --- the other steps


def plan_step(workflow: Workflow, step: Step, expected: ExpectedResults) -> StepPlan:
    artifact = artifact_of(step.makes, workflow.lakehouse.dataset)
    sources = input_artifacts(step, workflow.lakehouse, workflow.config)
    step_plan, expected.results[artifact] = predict_step(workflow, step, artifact, sources, expected)
    if step_plan.state != "up to date":
        expected.reruns.add(artifact)
    return step_plan


def predict_step(
    workflow: Workflow, step: Step, artifact: str, sources: Mapping[str, str], expected: ExpectedResults
) -> tuple[StepPlan, Receipt | None]:
    """A step's plan, and its expected receipt if that is known."""
    now, problem = current(workflow, artifact)
    if step.makes in {"gate", "tracking"} and staleness.is_tracking_store_missing(workflow):
        return StepPlan(step.name, "works", (f"{tracking.DATABASE} is missing",)), None
    inputs = {name: expected.results[source] for name, source in sources.items()}
    unknown = [name for name, receipt in inputs.items() if receipt is None]
    known = {name: receipt for name, receipt in inputs.items() if receipt is not None}
    task = task_for(workflow, step, artifact, known)
    problems = [problem] if problem else []
    if unknown:
        why = [*changes_before_inputs(task, now, problems), f"waits for: {', '.join(unknown)}"]
        return StepPlan(step.name, "depends" if may_be_restored(task) else "works", tuple(why)), None
    same = now is not None and problem is None and now.made_from == task.made_from
    is_rerun = any(source in expected.reruns for source in sources.values()) or is_report_copy_missing(workflow, step)
    if same and not is_rerun:
        return StepPlan(step.name, "up to date"), now
    memo_problem = memo.restore_problem(task)
    reasons = provenance.reasons(task)
    why = reasons if reasons == [provenance.FIRST_RUN] else list(dict.fromkeys([*problems, *reasons]))
    why = [reason for reason in why if reason != provenance.UNCHANGED or len(why) == 1]
    if memo_problem is None:
        return StepPlan(step.name, "restores", tuple(why)), receipts.read(memo.entry_path(task))
    return StepPlan(step.name, "works", tuple(why + [memo_problem] * (memo_problem not in ("", *why)))), None


def task_for(workflow: Workflow, step: Step, artifact: str, inputs: Mapping[str, Receipt]) -> Task:
    """The task that the step's script will build."""
    lakehouse = workflow.lakehouse
    receipt, params = Path(lakehouse.receipt(artifact)), parameters(step, workflow.config)
    return Task(step, lakehouse.dataset, lakehouse.path, receipt, artifact, params, dict(inputs), 1, "warn")


def may_be_restored(task: Task) -> bool:
    """Whether an earlier result has the same parameters and code, so that it can be restored if the inputs match."""
    wanted = {key: task.made_from[key] for key in ("params", "code")}
    memo_entries = (memo.read_or_none(path) for path in memo.entries(task.memo))
    return any(wanted.items() <= receipt.made_from.items() for receipt in memo_entries if receipt)


def changes_before_inputs(task: Task, before: Receipt | None, problems: list[str]) -> list[str]:
    """What changed in a step's own parameters and code, regardless of its inputs."""
    if before is None:
        return problems if memo.entries(task.memo) else [provenance.FIRST_RUN]
    provenance_file = provenance.provenance_path(task.receipt_path)
    return problems + provenance.differences(
        task.step, before.made_from, {**task.made_from, "inputs": {}}, provenance_file
    )


def is_report_copy_missing(workflow: Workflow, step: Step) -> bool:
    """Whether the copy for Snakemake's report is missing, so that the step runs."""
    copy = step.report_copy
    return copy is not None and not Path(workflow.latest(copy.file)).is_file()
