"""Validate a lakehouse: check every layer against its receipts, without Java."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from reco_platform.config.model import Config
from reco_platform.core.errors import RecoError
from reco_platform.datasets import bronze, id_dictionary
from reco_platform.datasets.registry import dictionaries
from reco_platform.engine.step import Layer
from reco_platform.engine.task import QUALITY_FINGERPRINT
from reco_platform.fingerprint.files import file_has_fingerprint
from reco_platform.lakehouse import layout, quarantine, receipts
from reco_platform.lakehouse.layout import TABLES, Lakehouse
from reco_platform.lakehouse.receipts import PROVENANCE, RECEIPT, Receipt
from reco_platform.maintenance.content_checks import quarantine_problem, result_problem
from reco_platform.maintenance.repair import RepairCommands
from reco_platform.pipeline.steps_table import LAYERS, STEP_OF, artifact_of, resolve_input
from reco_platform.pipeline.workflow import Workflow
from reco_platform.steps.model_artifact import joined_version
from reco_platform.store.json_file import read_json
from reco_platform.store.paths import StorePath, sha256_file

VERSIONED_RESULTS = {
    "model": ("Models", "versions"),
    "als_refit": ("Refits", "versions"),
    "ranking_model": ("Ranking models", "versions"),
    "ranking_refit": ("Ranking refits", "versions"),
    "als_plain": ("Plain models", "versions"),
    "run_metrics": ("Metrics", "metric files"),
    "report": ("Pages", "pages"),
}
"""Results that are kept side by side for several model versions: their names and units in messages."""


@dataclass(frozen=True)
class Finding:
    """One line of a validation; for an error also the command that repairs it."""

    level: Literal["info", "ok", "error"]
    text: str
    hint: str | None = None

    def __str__(self) -> str:
        line = {"info": "[INFO] ", "ok": "  [OK] ", "error": "  [ERROR] "}[self.level] + self.text
        return line if self.hint is None else f"{line}\n  -> {self.hint}"


def validate(workflow: Workflow, layers: Sequence[Layer] = LAYERS, *, deep: bool = False) -> Iterator[Finding]:
    """Checks layers one after another; the findings of a layer follow its `info` line.

    Args:
        workflow: the lakehouse, and the results that gold consists of with this configuration.
        layers: the layers to check; all sweeps that are present are checked.
        deep: whether to read every row and file and recompute the fingerprints.
    """
    lakehouse, repairs = workflow.lakehouse, RepairCommands(workflow)
    yield Finding("info", f"Lakehouse path: {lakehouse.root}")
    for layer in layers:
        yield Finding("info", f"Checking {layer.capitalize()} layer...")
        match layer:
            case "bronze":
                yield from check_bronze(workflow, repairs, deep)
            case "silver":
                yield from check_silver(workflow, repairs, deep)
            case "gold":
                yield from check_gold(workflow, repairs, deep)
            case "sweeps":
                yield from check_sweeps(lakehouse, repairs, deep)


# --- layers


def check_bronze(workflow: Workflow, repairs: RepairCommands, deep: bool) -> Iterator[Finding]:
    lakehouse = workflow.lakehouse
    for table in (*TABLES, *dictionaries(workflow.dataset)):
        artifact = lakehouse.bronze(table)
        receipt, finding = read_receipt(lakehouse, artifact, repairs)
        if receipt is None:
            yield finding
            continue
        path = lakehouse.content(receipt.path)
        if receipt.kind == "absent":
            yield Finding("ok", f"{table}.csv: not in this data set")
        elif not path.is_file():
            yield Finding("error", f"{path} is missing", repairs.run(artifact))
        elif path.stat().st_size != receipt.facts["bytes"] or (deep and sha256_file(path) != receipt.facts["sha256"]):
            text = f"{path} differs from its receipt (the next run would use the file as it is)"
            yield Finding("error", text, repairs.fetch_again(artifact, path))
        else:
            yield Finding("ok", f"{path.name} ({path.stat().st_size:,} bytes)")
    for name in dictionaries(workflow.dataset):
        yield check_dictionary(lakehouse, name)


def check_dictionary(lakehouse: Lakehouse, name: id_dictionary.Name) -> Finding:
    """Checks every file of a dictionary of source ids."""
    try:
        bronze.check_dictionary(lakehouse, name)
    except RecoError as error:
        return Finding("error", error.message, error.hint)
    return Finding("ok", f"Dictionary of {name}")


def check_silver(workflow: Workflow, repairs: RepairCommands, deep: bool) -> Iterator[Finding]:
    lakehouse = workflow.lakehouse
    for table in TABLES:
        yield check_result(lakehouse, layout.silver(table), table, repairs, deep)
        yield from check_quarantine(lakehouse, table, repairs, deep)
    for name in dictionaries(workflow.dataset):
        yield check_result(lakehouse, layout.silver(name), name, repairs, deep)
    yield check_result(lakehouse, artifact_of("etl_report", lakehouse.dataset), "etl_report", repairs, deep)
    errors = [finding for table in TABLES for finding in check_quality_report(lakehouse, table, repairs)]
    yield from errors
    if not errors:
        yield Finding("ok", f"Reports directory exists ({len(TABLES) + 1} reports)")


def check_gold(workflow: Workflow, repairs: RepairCommands, deep: bool) -> Iterator[Finding]:
    lakehouse = workflow.lakehouse
    for name in workflow.gold:
        artifact = artifact_of(name, lakehouse.dataset)
        shown_name = PurePosixPath(artifact).name if STEP_OF[name].version_of == "served_model" else name
        finding = check_result(lakehouse, artifact, shown_name, repairs, deep)
        if name in VERSIONED_RESULTS and finding.level == "ok":
            finding = count_versions(lakehouse, name)
        yield finding
    yield from check_consistency(workflow, repairs)


def check_sweeps(lakehouse: Lakehouse, repairs: RepairCommands, deep: bool) -> Iterator[Finding]:
    """Checks every result of a sweep that has a receipt."""
    paths = sorted((lakehouse.records / layout.SWEEPS).rglob(f"*{RECEIPT}"))
    artifacts = [str(path.relative_to(lakehouse.records)).removesuffix(RECEIPT) for path in paths]
    findings = {artifact: check_result(lakehouse, artifact, artifact, repairs, deep) for artifact in artifacts}
    trials = [finding for artifact, finding in findings.items() if artifact.startswith(layout.TRIALS)]
    yield from (finding for artifact, finding in findings.items() if not artifact.startswith(layout.TRIALS))
    yield from (finding for finding in trials if finding.level == "error")
    good = sum(finding.level == "ok" for finding in trials)
    yield Finding("ok", f"{good} of {len(trials)} trials match their receipts" if findings else "no sweeps")


# --- results


def check_result(lakehouse: Lakehouse, artifact: str, name: str, repairs: RepairCommands, deep: bool) -> Finding:
    """Checks a table, model, folder or file against its receipt."""
    receipt, finding = read_receipt(lakehouse, artifact, repairs)
    if receipt is None:
        return finding
    if receipt.kind == "absent":
        return Finding("ok", f"{name}: not in this data set")
    problem = result_problem(lakehouse, receipt, deep)
    if problem:
        return Finding("error", problem, repairs.rebuild(artifact))
    note = "" if receipt.is_reusable else "; the next run tries it again"
    return Finding("ok", f"{name} exists at {lakehouse.content(receipt.path)}{note}")


def read_receipt(lakehouse: Lakehouse, artifact: str, repairs: RepairCommands) -> tuple[Receipt | None, Finding]:
    """A receipt, or None and the error."""
    try:
        return receipts.read(lakehouse.receipt(artifact)), Finding("ok", artifact)
    except RecoError as error:
        return None, Finding("error", f"{artifact}: {error.message}", repairs.run(artifact))


def check_quality_report(lakehouse: Lakehouse, table: str, repairs: RepairCommands) -> Iterator[Finding]:
    """Checks the quality report of a silver table against the fingerprint in the table's receipt."""
    artifact = layout.silver(table)
    path, (receipt, _) = lakehouse.content(lakehouse.quality_report(table)), read_receipt(lakehouse, artifact, repairs)
    expected = receipt and receipt.facts.get(QUALITY_FINGERPRINT)
    if not path.is_file():
        yield Finding("error", f"report {path} is missing", repairs.rebuild(artifact))
    elif reports_failure(path):
        yield Finding("error", f"{path} reports that its table failed a quality check", repairs.run(artifact))
    elif expected and not file_has_fingerprint(path, expected):
        yield Finding("error", f"{path} differs from what was written", repairs.rebuild(artifact))


def reports_failure(quality_report: StorePath) -> bool:
    try:
        return read_json(quality_report).get("passed") is False
    except ValueError:
        return False


def check_quarantine(lakehouse: Lakehouse, table: str, repairs: RepairCommands, deep: bool) -> Iterator[Finding]:
    """Checks that the rejected rows named by a table's receipt exist in some version of the quarantine table."""
    artifact, folder = layout.silver(table), layout.quarantine(table)
    receipt, _ = read_receipt(lakehouse, artifact, repairs)
    rejected = receipt and quarantine.quarantine_receipt(lakehouse.path, receipt)
    if not rejected:
        return
    problem = quarantine_problem(lakehouse, rejected, deep)
    if problem:
        yield Finding("error", problem, repairs.rebuild(artifact, folder))
    else:
        yield Finding("ok", f"rejected rows of {table} exist at {lakehouse.content(folder)}")


def count_versions(lakehouse: Lakehouse, name: str) -> Finding:
    """The number of model versions whose results of a kind are kept side by side."""
    step, (title, unit) = STEP_OF[name], VERSIONED_RESULTS[name]
    folder = str(PurePosixPath(step.content_path(step.artifact, lakehouse.dataset, "*")).parent)
    versions = {path.stem for path in lakehouse.content(folder).iterdir() if is_result(path)}
    return Finding("ok", f"{title} directory exists ({len(versions)} {unit})")


def is_result(path: StorePath) -> bool:
    return not path.name.startswith(("_", ".")) and not path.name.endswith((RECEIPT, PROVENANCE))


# --- consistency


def check_consistency(workflow: Workflow, repairs: RepairCommands) -> Iterator[Finding]:
    """Checks that results belong to the present model version, and that numbers of rows and users agree."""
    lakehouse = workflow.lakehouse
    found = {
        name: receipt
        for name in workflow.gold
        if (receipt := read_receipt(lakehouse, artifact_of(name, lakehouse.dataset), repairs)[0])
    }
    served = found.get(resolve_input("served_model", workflow.config))
    versions = {"run": run_version(found, workflow.config)}
    if served:
        versions["served_model"] = served.facts["model_version"]
    for name, receipt in found.items():
        expected_version = versions.get(STEP_OF[name].version_of or "")
        if expected_version is None:
            continue
        version = receipt.facts["model_version"]
        if layout.version_in(version) != expected_version:
            text = f"{receipt.artifact} is of model {version}, the model is {expected_version}"
            yield Finding("error", text, repairs.run(receipt.artifact))
    if "interactions" in found:
        facts = found["interactions"].facts
        expected = facts["train_count"] + facts["test_count"]
        yield from check_rows("rows of interactions", found["interactions"], expected, repairs)
    if served and "recommendations" in found:
        users = served.facts["users"]
        yield from check_rows("users with recommendations", found["recommendations"], users, repairs)


def run_version(found: Mapping[str, Receipt], config: Config) -> str | None:
    """The version that the files of the run must have; None if a model is missing."""
    models = [found.get(resolve_input(name, config)) for name in ("model", "ranking")]
    return joined_version(*(str(model.facts["model_version"]) for model in models if model)) if all(models) else None


def check_rows(what: str, receipt: Receipt, expected: int, repairs: RepairCommands) -> Iterator[Finding]:
    if receipt.rows != expected:
        text = f"{what}: {receipt.rows:,}, expected {expected:,}"
        yield Finding("error", text, repairs.rebuild(receipt.artifact))


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings for programs; `findings` has each error with the command that repairs it."""
    errors = [finding for finding in findings if finding.level == "error"]
    return {
        "passed": not errors,
        "errors": [finding.text for finding in errors],
        "findings": [{"text": finding.text, "hint": finding.hint} for finding in errors],
        "ok": [finding.text for finding in findings if finding.level == "ok"],
    }
