"""Whether a lakehouse holds what its receipts say: every layer, without a JVM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from reco_platform.contracts.tables import CONTRACTS
from reco_platform.core.errors import RecoError
from reco_platform.engine.step import Layer
from reco_platform.engine.task import QUALITY_FINGERPRINT
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.files import VOLATILE_KEYS, file_has_fingerprint
from reco_platform.fingerprint.spec import arrow_fields, fingerprint, schema_hash
from reco_platform.lakehouse import layout, publish, quarantine, receipts, tables
from reco_platform.lakehouse.layout import TABLES, Lakehouse
from reco_platform.lakehouse.receipts import PROVENANCE, RECEIPT, Receipt
from reco_platform.maintenance.repair import Repairs
from reco_platform.models.als.model import model_fingerprint
from reco_platform.pipeline.steps_table import LAYERS, STEP_OF, artifact_of, resolve_input
from reco_platform.pipeline.workflow import Workflow
from reco_platform.store.json_file import read_json
from reco_platform.store.paths import StorePath, sha256_file
from reco_platform.tuning import data as sweep_data
from reco_platform.tuning import leaderboard

COUNTED = {
    "model": ("Models", "versions"),
    "als_refit": ("Refits", "versions"),
    "als_plain": ("Plain models", "versions"),
    "run_metrics": ("Metrics", "metric files"),
    "report": ("Pages", "pages"),
}
"""Results of which several model versions are kept side by side, in words."""


@dataclass(frozen=True)
class Finding:
    """One line of a validation; of an error also the command that repairs it."""

    level: Literal["info", "ok", "error"]
    text: str
    hint: str | None = None

    def __str__(self) -> str:
        line = {"info": "[INFO] ", "ok": "  [OK] ", "error": "  [ERROR] "}[self.level] + self.text
        return line if self.hint is None else f"{line}\n  -> {self.hint}"


def validate(workflow: Workflow, layers: Sequence[Layer] = LAYERS, *, deep: bool = False) -> Iterator[Finding]:
    """Checks layers one after another; a layer's findings follow its `info` line.

    Args:
        workflow: the lakehouse, and what gold consists of as configured.
        layers: which layers; sweeps are checked as far as there are any.
        deep: also read every row and file, and compute their fingerprints anew.
    """
    lakehouse, repairs = workflow.lakehouse, Repairs(workflow)
    yield Finding("info", f"Lakehouse path: {lakehouse.root}")
    for layer in layers:
        yield Finding("info", f"Checking {layer.capitalize()} layer...")
        match layer:
            case "bronze":
                yield from check_bronze(lakehouse, repairs, deep)
            case "silver":
                yield from check_silver(lakehouse, repairs, deep)
            case "gold":
                yield from check_gold(workflow, repairs, deep)
            case "sweeps":
                yield from check_sweeps(lakehouse, repairs, deep)


def check_bronze(lakehouse: Lakehouse, repairs: Repairs, deep: bool) -> Iterator[Finding]:
    for table in TABLES:
        artifact = lakehouse.bronze(table)
        receipt, finding = opened(lakehouse, artifact, repairs)
        if receipt is None:
            yield finding
            continue
        path = lakehouse.content(receipt.path)
        if receipt.kind == "absent":
            yield Finding("ok", f"{table}.csv: not in this data set")
        elif not path.is_file():
            yield Finding("error", f"{path} is missing", repairs.run(artifact))
        elif path.stat().st_size != receipt.facts["bytes"] or (deep and sha256_file(path) != receipt.facts["sha256"]):
            changed = f"{path} is not the file that its receipt describes (the next run takes it as it is)"
            yield Finding("error", changed, repairs.retake(artifact, path))
        else:
            yield Finding("ok", f"{table}.csv ({path.stat().st_size:,} bytes)")


def check_silver(lakehouse: Lakehouse, repairs: Repairs, deep: bool) -> Iterator[Finding]:
    for table in TABLES:
        yield check_content(lakehouse, layout.silver(table), table, repairs, deep)
        yield from check_quarantine(lakehouse, table, repairs, deep)
    yield check_content(lakehouse, artifact_of("etl_report", lakehouse.dataset), "etl_report", repairs, deep)
    problems = [finding for table in TABLES for finding in check_quality(lakehouse, table, repairs)]
    yield from problems
    if not problems:
        yield Finding("ok", f"Reports directory exists ({len(TABLES) + 1} reports)")


def check_quality(lakehouse: Lakehouse, table: str, repairs: Repairs) -> Iterator[Finding]:
    """The report on the quality of a table, which the receipt of the table names."""
    artifact = layout.silver(table)
    path, (receipt, _) = lakehouse.content(lakehouse.quality_report(table)), opened(lakehouse, artifact, repairs)
    wanted = receipt and receipt.facts.get(QUALITY_FINGERPRINT)
    if not path.is_file():
        yield Finding("error", f"report {path} is missing", repairs.rebuild(artifact))
    elif says_failed(path):
        yield Finding("error", f"{path} says that its table failed a check", repairs.run(artifact))
    elif wanted and not file_has_fingerprint(path, wanted):
        yield Finding("error", f"{path} differs from what was written", repairs.rebuild(artifact))


def says_failed(report: StorePath) -> bool:
    try:
        return read_json(report).get("passed") is False
    except ValueError:
        return False


def check_quarantine(lakehouse: Lakehouse, table: str, repairs: Repairs, deep: bool) -> Iterator[Finding]:
    """The rejected rows of a table: some version of them is the one that its receipt tells of."""
    artifact, folder = layout.silver(table), layout.quarantine(table)
    receipt, _ = opened(lakehouse, artifact, repairs)
    made = receipt and quarantine.quarantine_receipt(lakehouse.path, receipt)
    if not made:
        return
    problem = tables.content_problem(lakehouse.path, made, thorough=deep)
    if problem is None and made.version is not None:
        problem = tables.log_problem(lakehouse.content(folder), made.version)
    if problem is None and deep:
        rows = tables.open_table(lakehouse.path, made, "").read()
        found = fingerprint(schema_hash(arrow_fields(rows.schema)), arrow_sums(rows, rows.schema.names))
        if found != made.fingerprint:
            problem = f"the rows of {lakehouse.content(folder)} have fingerprint {found}, expected {made.fingerprint}"
    if problem:
        yield Finding("error", problem, repairs.rebuild(artifact, folder))
    else:
        yield Finding("ok", f"rejected rows of {table} exist at {lakehouse.content(folder)}")


def check_gold(workflow: Workflow, repairs: Repairs, deep: bool) -> Iterator[Finding]:
    lakehouse = workflow.lakehouse
    for name in workflow.gold:
        artifact = artifact_of(name, lakehouse.dataset)
        shown = PurePosixPath(artifact).name if STEP_OF[name].version_of == "served_model" else name
        finding = check_content(lakehouse, artifact, shown, repairs, deep)
        yield counted(lakehouse, name, *COUNTED[name]) if name in COUNTED and finding.level == "ok" else finding
    yield from consistent(workflow, repairs)


def counted(lakehouse: Lakehouse, name: str, what: str, unit: str) -> Finding:
    """The number of model versions whose results are kept side by side."""
    step = STEP_OF[name]
    folder = str(PurePosixPath(step.content_path(step.artifact, lakehouse.dataset, "*")).parent)
    versions = {path.stem for path in lakehouse.content(folder).iterdir() if kept(path)}
    return Finding("ok", f"{what} directory exists ({len(versions)} {unit})")


def check_sweeps(lakehouse: Lakehouse, repairs: Repairs, deep: bool) -> Iterator[Finding]:
    """Every receipt that sweeps have left."""
    paths = sorted((lakehouse.records / layout.SWEEPS).rglob(f"*{RECEIPT}"))
    artifacts = [str(path.relative_to(lakehouse.records)).removesuffix(RECEIPT) for path in paths]
    findings = {artifact: check_content(lakehouse, artifact, artifact, repairs, deep) for artifact in artifacts}
    of_trials = [finding for artifact, finding in findings.items() if artifact.startswith(layout.TRIALS)]
    yield from (finding for artifact, finding in findings.items() if not artifact.startswith(layout.TRIALS))
    yield from (finding for finding in of_trials if finding.level == "error")
    good = sum(finding.level == "ok" for finding in of_trials)
    yield Finding("ok", f"{good} of {len(of_trials)} trials hold what their receipts say" if findings else "no sweeps")


def kept(path: StorePath) -> bool:
    return not path.name.startswith(("_", ".")) and not path.name.endswith((RECEIPT, PROVENANCE))


def check_content(lakehouse: Lakehouse, artifact: str, name: str, repairs: Repairs, deep: bool) -> Finding:
    """A table, model, folder or file against its receipt."""
    receipt, finding = opened(lakehouse, artifact, repairs)
    if receipt is None:
        return finding
    if receipt.kind == "absent":
        return Finding("ok", f"{name}: not in this data set")
    problem = foreign_problem(lakehouse, receipt) or content_problem(lakehouse.path, receipt, deep)
    if problem:
        return Finding("error", problem, repairs.rebuild(artifact))
    where = lakehouse.content(receipt.path)
    return Finding("ok", f"{name} exists at {where}" + ("" if receipt.is_reusable else "; the next run tries it again"))


def foreign_problem(lakehouse: Lakehouse, receipt: Receipt) -> str | None:
    """What stands at the path of a table and is none of the pipeline's."""
    if receipt.kind != "table":
        return None
    return publish.foreign_content(lakehouse.content(receipt.path), receipt.format, lakehouse.dataset)


def content_problem(root: StorePath, receipt: Receipt, deep: bool) -> str | None:
    """What of a result differs from its receipt."""
    problem = tables.content_problem(root, receipt, thorough=deep)
    if problem is None and receipt.kind == "table":
        problem = table_problem(root, receipt, deep)
    if problem is None and deep and receipt.kind in {"model", "folder"}:
        problem = folder_problem(tables.local_path(root, receipt), receipt)
    return problem


def folder_problem(path: Path, receipt: Receipt) -> str | None:
    """Whether the content of a folder, computed anew, is another than its receipt says."""
    compute = model_fingerprint if receipt.kind == "model" else FINGERPRINTS[receipt.made_from["step"]]
    try:
        found = compute(path)
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {error}"
    return None if found == receipt.fingerprint else f"{path} holds {found}, its receipt says {receipt.fingerprint}"


FINGERPRINTS = {"sweep_data": sweep_data.content_of, "leaderboard": leaderboard.content_of}
"""By the step that makes a folder."""


def table_problem(root: StorePath, receipt: Receipt, deep: bool) -> str | None:
    """What of a table's log, rows or content differs from its receipt."""
    path = root / receipt.path
    if receipt.version is not None:
        problem = tables.log_problem(path, receipt.version) or tables.head_problem(path, receipt)
        if problem:
            return problem
    opened_table = tables.open_table(root, receipt, "")
    rows = opened_table.dataset().count_rows()
    if rows != receipt.rows:
        return f"{path} holds {rows:,} rows, its receipt says {receipt.rows:,}"
    if deep:
        contract = CONTRACTS[path.name]
        names = [field.name for field in contract.fields if field.name not in VOLATILE_KEYS]
        table = opened_table.read(contract.names).cast(contract.schema)
        found = fingerprint(contract.schema_hash, arrow_sums(table, names))
        if found != receipt.fingerprint:
            return f"the rows of {path} have fingerprint {found}, its receipt says {receipt.fingerprint}"
    return None


def opened(lakehouse: Lakehouse, artifact: str, repairs: Repairs) -> tuple[Receipt | None, Finding]:
    try:
        return receipts.read(lakehouse.receipt(artifact)), Finding("ok", artifact)
    except RecoError as error:
        return None, Finding("error", f"{artifact}: {error.message}", repairs.run(artifact))


def consistent(workflow: Workflow, repairs: Repairs) -> Iterator[Finding]:
    """Whether what names a model version names the present one, and whether the counts agree."""
    lakehouse, gold = workflow.lakehouse, workflow.gold
    found = {
        name: receipt
        for name in gold
        if (receipt := opened(lakehouse, artifact_of(name, lakehouse.dataset), repairs)[0])
    }
    served = found.get(resolve_input("served_model", workflow.config))
    models = {"model": found.get("model"), "served_model": served}
    for name, receipt in found.items():
        model = models.get(STEP_OF[name].version_of or "")
        if model is None or name == "model":
            continue
        named, version = receipt.facts["model_version"], model.facts["model_version"]
        if layout.version_in(named) != version:
            other = f"{receipt.artifact} is of model {named}, the model is {version}"
            yield Finding("error", other, repairs.run(receipt.artifact))
    if "interactions" in found:
        facts = found["interactions"].facts
        expected = facts["train_count"] + facts["test_count"]
        yield from counts_agree("rows of interactions", found["interactions"], expected, repairs)
    if served and "recommendations" in found:
        users = served.facts["users"]
        yield from counts_agree("users with recommendations", found["recommendations"], users, repairs)


def counts_agree(what: str, receipt: Receipt, expected: int, repairs: Repairs) -> Iterator[Finding]:
    if receipt.rows != expected:
        differ = f"{what}: {receipt.rows:,}, expected {expected:,}"
        yield Finding("error", differ, repairs.rebuild(receipt.artifact))


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings for programs; `findings` has each error with the command that repairs it."""
    errors = [finding for finding in findings if finding.level == "error"]
    return {
        "passed": not errors,
        "errors": [finding.text for finding in errors],
        "findings": [{"text": finding.text, "hint": finding.hint} for finding in errors],
        "ok": [finding.text for finding in findings if finding.level == "ok"],
    }
