"""Whether a lakehouse holds what its receipts say: every layer, without a JVM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from reco_platform import layout, leaderboard, receipts, reporting, storage, sweepdata
from reco_platform.als.model import model_fingerprint
from reco_platform.arrow_fingerprint import arrow_sums
from reco_platform.contracts import CONTRACTS
from reco_platform.errors import RecoError
from reco_platform.fingerprint import arrow_fields, fingerprint, schema_hash
from reco_platform.layout import TABLES, Lakehouse
from reco_platform.places import Place, sha256_file
from reco_platform.receipts import Receipt
from reco_platform.registry import stands_for
from reco_platform.workflow import Workflow

Layer = Literal["bronze", "silver", "gold", "sweeps"]
LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold", "sweeps")

FOLDERS = {
    "model": (layout.MODELS, "Models", "versions"),
    "als_refit": (layout.REFITS, "Refits", "versions"),
    "als_plain": (layout.PLAIN_MODELS, "Plain models", "versions"),
    "run_metrics": ("gold/metrics", "Metrics", "metric files"),
    "report": ("reports", "Pages", "pages"),
}
"""Results that are kept side by side, one for each model version: where, and in words."""

OF_THE_MODEL = ("run_metrics", "metrics_table", "gate", "tracking", "report")
OF_THE_SERVED = ("recommendations", "fallback")
"""Results that name the model version that they are of."""


@dataclass(frozen=True)
class Finding:
    """One line of a validation."""

    level: Literal["info", "ok", "error"]
    text: str

    def __str__(self) -> str:
        return {"info": "[INFO] ", "ok": "  [OK] ", "error": "  [ERROR] "}[self.level] + self.text


def validate(workflow: Workflow, layers: Sequence[Layer] = LAYERS, *, deep: bool = False) -> Iterator[Finding]:
    """Checks layers one after another; a layer's findings follow its `info` line.

    Args:
        workflow: the lakehouse, and what gold consists of as configured.
        layers: which layers; sweeps are checked as far as there are any.
        deep: also read every row and file, and compute their fingerprints anew.
    """
    house = workflow.house
    yield Finding("info", f"Lakehouse path: {house.root}")
    for layer in layers:
        yield Finding("info", f"Checking {layer.capitalize()} layer...")
        match layer:
            case "bronze":
                yield from check_bronze(house, deep)
            case "silver":
                yield from check_silver(house, deep)
            case "gold":
                yield from check_gold(workflow, deep)
            case "sweeps":
                yield from check_sweeps(house, deep)


def check_bronze(house: Lakehouse, deep: bool) -> Iterator[Finding]:
    for table in TABLES:
        receipt, finding = opened(house, house.bronze(table))
        if receipt is None:
            yield finding
            continue
        path = house.content(receipt.path)
        if receipt.kind == "absent":
            yield Finding("ok", f"{table}.csv: not in this data set")
        elif not path.is_file():
            yield Finding("error", f"{path} is missing")
        elif path.stat().st_size != receipt.facts["bytes"] or (deep and sha256_file(path) != receipt.facts["sha256"]):
            yield Finding("error", f"{path} is not the file that its receipt describes (run snakemake to take it in)")
        else:
            yield Finding("ok", f"{table}.csv ({path.stat().st_size:,} bytes)")


def check_silver(house: Lakehouse, deep: bool) -> Iterator[Finding]:
    for table in TABLES:
        yield check_content(house, layout.silver(table), table, deep)
        yield from check_quarantine(house, table, deep)
    yield check_content(house, house.etl_report, "etl_report", deep)
    reports = [house.quality_report(table) for table in TABLES] + [f"{house.etl_report}.json"]
    missing = [path for path in reports if not house.content(path).is_file()]
    yield from (Finding("error", f"report {house.content(path)} is missing") for path in missing)
    failed = [path for path in reports[:-1] if path not in missing and not passed(house.content(path))]
    yield from (Finding("error", f"{house.content(path)} says that its table failed a check") for path in failed)
    if not missing and not failed:
        yield Finding("ok", f"Reports directory exists ({len(reports)} reports)")


def passed(report: Place) -> bool:
    try:
        return reporting.read_json(report).get("passed") is True
    except ValueError:
        return False


def check_quarantine(house: Lakehouse, table: str, deep: bool) -> Iterator[Finding]:
    """The rejected rows of a table: some version of them is the one that its receipt tells of."""
    receipt, _ = opened(house, layout.silver(table))
    wanted = receipt and receipt.facts.get("quarantine_fingerprint")
    if not wanted:
        return
    folder = house.content(layout.quarantine(table))
    versions = [key for key in storage.manifest_keys(folder) if storage.holds_fingerprint(folder, key, wanted)]
    if not versions:
        yield Finding("error", f"{folder} no longer holds the rejected rows with fingerprint {wanted}")
        return
    key = versions[-1]
    number = key if isinstance(key, int) else None
    made = Receipt("", "table", layout.quarantine(table), version=number, fingerprint=wanted)
    problem = storage.problem(house.place, made, thorough=deep)
    if problem is None and deep:
        rows = storage.open_table(house.place, made, "").read()
        found = fingerprint(schema_hash(arrow_fields(rows.schema)), arrow_sums(rows, rows.schema.names))
        problem = None if found == wanted else f"the rows of {folder} have fingerprint {found}, expected {wanted}"
    yield Finding("error", problem) if problem else Finding("ok", f"rejected rows of {table} exist at {folder}")


def check_gold(workflow: Workflow, deep: bool) -> Iterator[Finding]:
    house = workflow.house
    for name in workflow.gold:
        artifact = house.artifact(name)
        finding = check_content(house, artifact, PurePosixPath(artifact).name if name in OF_THE_SERVED else name, deep)
        yield counted(house, *FOLDERS[name]) if name in FOLDERS and finding.level == "ok" else finding
    yield from consistent(workflow)


def counted(house: Lakehouse, folder: str, what: str, unit: str) -> Finding:
    """A folder that keeps one file or folder for each model version."""
    versions = {path.stem for path in house.content(folder).iterdir() if kept(path)}
    return Finding("ok", f"{what} directory exists ({len(versions)} {unit})")


def check_sweeps(house: Lakehouse, deep: bool) -> Iterator[Finding]:
    """Every receipt that sweeps have left."""
    paths = sorted((house.records / layout.SWEEPS).rglob(f"*{layout.RECEIPT}"))
    artifacts = [str(path.relative_to(house.records)).removesuffix(layout.RECEIPT) for path in paths]
    findings = {artifact: check_content(house, artifact, artifact, deep) for artifact in artifacts}
    of_trials = [finding for artifact, finding in findings.items() if artifact.startswith(layout.TRIALS)]
    yield from (finding for artifact, finding in findings.items() if not artifact.startswith(layout.TRIALS))
    yield from (finding for finding in of_trials if finding.level == "error")
    good = sum(finding.level == "ok" for finding in of_trials)
    yield Finding("ok", f"{good} of {len(of_trials)} trials hold what their receipts say" if findings else "no sweeps")


def kept(path: Place) -> bool:
    return not path.name.startswith(("_", ".")) and not path.name.endswith((layout.RECEIPT, layout.PROVENANCE))


def check_content(house: Lakehouse, artifact: str, name: str, deep: bool) -> Finding:
    """A table, model, folder or file against its receipt."""
    receipt, finding = opened(house, artifact)
    if receipt is None:
        return finding
    if receipt.kind == "absent":
        return Finding("ok", f"{name}: not in this data set")
    root, path = house.place, house.content(receipt.path)
    problem = storage.problem(root, receipt, thorough=deep)
    if problem is None and receipt.kind == "table":
        problem = table_problem(root, receipt, deep)
    if problem is None and deep and receipt.kind in {"model", "folder"}:
        problem = folder_problem(storage.path_of(root, receipt), receipt)
    if problem:
        return Finding("error", problem)
    return Finding("ok", f"{name} exists at {path}" + ("" if receipt.lasting else "; the next run tries it again"))


def folder_problem(path: Path, receipt: Receipt) -> str | None:
    """Whether the content of a folder, computed anew, is another than its receipt says."""
    compute = model_fingerprint if receipt.kind == "model" else FINGERPRINTS[receipt.made_from["step"]]
    try:
        found = compute(path)
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {error}"
    return None if found == receipt.fingerprint else f"{path} holds {found}, its receipt says {receipt.fingerprint}"


FINGERPRINTS = {"sweep_data": sweepdata.content_of, "leaderboard": leaderboard.content_of}
"""By the step that makes a folder."""


def table_problem(root: Place, receipt: Receipt, deep: bool) -> str | None:
    """What of a table's log, rows or content differs from its receipt."""
    path = root / receipt.path
    if receipt.version is not None:
        problem = storage.log_problem(path, receipt.version)
        if problem:
            return problem
    opened_table = storage.open_table(root, receipt, "")
    rows = opened_table.dataset().count_rows()
    if rows != receipt.rows:
        return f"{path} holds {rows:,} rows, its receipt says {receipt.rows:,}"
    if deep:
        contract = CONTRACTS[path.name]
        names = [field.name for field in contract.fields if field.name not in storage.VOLATILE_KEYS]
        table = opened_table.read(contract.names).cast(contract.schema)
        found = fingerprint(contract.schema_hash, arrow_sums(table, names))
        if found != receipt.fingerprint:
            return f"the rows of {path} have fingerprint {found}, its receipt says {receipt.fingerprint}"
    return None


def opened(house: Lakehouse, artifact: str) -> tuple[Receipt | None, Finding]:
    try:
        return receipts.read(house.receipt(artifact)), Finding("ok", artifact)
    except RecoError as error:
        return None, Finding("error", f"{artifact}: {error.what}")


def consistent(workflow: Workflow) -> Iterator[Finding]:
    """Whether what names a model version names the present one, and whether the counts agree."""
    house, gold = workflow.house, workflow.gold
    found = {name: receipt for name in gold if (receipt := opened(house, house.artifact(name))[0])}
    served = found.get(stands_for("served_model", workflow.config))
    for names, behind in ((OF_THE_MODEL, found.get("model")), (OF_THE_SERVED, served)):
        for name in names:
            if name not in found or behind is None:
                continue
            named, version = found[name].facts["model_version"], behind.facts["model_version"]
            if named != version:
                yield Finding("error", f"{found[name].artifact} is of model {named}, the model is {version}")
    if "interactions" in found:
        facts = found["interactions"].facts
        expected = facts["train_count"] + facts["test_count"]
        yield from counts_agree("rows of interactions", found["interactions"].rows, expected)
    if served and "recommendations" in found:
        yield from counts_agree("users with recommendations", found["recommendations"].rows, served.facts["users"])


def counts_agree(what: str, found: int, expected: int) -> Iterator[Finding]:
    if found != expected:
        yield Finding("error", f"{what}: {found:,}, expected {expected:,}")


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings for programs."""
    errors = [finding.text for finding in findings if finding.level == "error"]
    return {
        "passed": not errors,
        "errors": errors,
        "ok": [finding.text for finding in findings if finding.level == "ok"],
    }
