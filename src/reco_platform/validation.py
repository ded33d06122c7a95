"""Whether a lakehouse holds what its receipts say: every layer, without a JVM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reco_platform import layout, receipts, reporting, storage
from reco_platform.als.model import model_fingerprint
from reco_platform.arrow_fingerprint import arrow_sums
from reco_platform.contracts import CONTRACTS
from reco_platform.errors import RecoError
from reco_platform.fingerprint import fingerprint
from reco_platform.layout import TABLES, Lakehouse
from reco_platform.places import Place, sha256_file
from reco_platform.receipts import Receipt

Layer = Literal["bronze", "silver", "gold"]
LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold")


@dataclass(frozen=True)
class Finding:
    """One line of a validation."""

    level: Literal["info", "ok", "error"]
    text: str

    def __str__(self) -> str:
        return {"info": "[INFO] ", "ok": "  [OK] ", "error": "  [ERROR] "}[self.level] + self.text


def validate(house: Lakehouse, layers: Sequence[Layer] = LAYERS, *, deep: bool = False) -> Iterator[Finding]:
    """Checks layers one after another; a layer's findings follow its `info` line.

    Args:
        house: the lakehouse.
        layers: which layers.
        deep: also read every row and file, and compute their fingerprints anew.
    """
    checks = {"bronze": check_bronze, "silver": check_silver, "gold": check_gold}
    yield Finding("info", f"Lakehouse path: {house.root}")
    for layer in layers:
        yield Finding("info", f"Checking {layer.capitalize()} layer...")
        yield from checks[layer](house, deep)


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


def check_gold(house: Lakehouse, deep: bool) -> Iterator[Finding]:
    yield check_content(house, layout.INTERACTIONS, "interactions", deep)
    yield check_content(house, layout.RECOMMENDATIONS, "recommendations_als", deep)
    yield from check_folder(house, layout.MODELS, layout.MODELS, "Models", "versions")
    yield from check_folder(house, "gold/metrics", layout.RUN_METRICS, "Metrics", "metric files")
    yield from check_folder(house, "reports", layout.REPORT, "Pages", "pages")
    yield from consistent(house)


def check_folder(house: Lakehouse, folder: str, artifact: str, what: str, unit: str) -> Iterator[Finding]:
    """The current content of a folder that keeps one file or folder for each model version."""
    finding = check_content(house, artifact, artifact, deep=False)
    if finding.level == "error":
        yield finding
        return
    versions = {path.stem for path in house.content(folder).iterdir() if kept(path)}
    yield Finding("ok", f"{what} directory exists ({len(versions)} {unit})")


def kept(path: Place) -> bool:
    return not path.name.startswith(("_", ".")) and not path.name.endswith((".receipt.json", ".provenance.json"))


def check_content(house: Lakehouse, artifact: str, name: str, deep: bool) -> Finding:
    """A table, model or file against its receipt."""
    receipt, finding = opened(house, artifact)
    if receipt is None:
        return finding
    if receipt.kind == "absent":
        return Finding("ok", f"{name}: not in this data set")
    root, path = house.place, house.content(receipt.path)
    problem = storage.problem(root, receipt, thorough=deep)
    if problem is None and receipt.kind == "table":
        problem = table_problem(root, receipt, deep)
    if (
        problem is None
        and deep
        and receipt.kind == "model"
        and model_fingerprint(storage.path_of(root, receipt)) != receipt.fingerprint
    ):
        problem = f"the factors in {path} are not those of {receipt.fingerprint}"
    return Finding("error", problem) if problem else Finding("ok", f"{name} exists at {path}")


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


def consistent(house: Lakehouse) -> Iterator[Finding]:
    """Whether model, metrics, recommendations and interactions belong together."""
    names = (layout.INTERACTIONS, layout.MODELS, layout.RECOMMENDATIONS, layout.RUN_METRICS)
    found = [opened(house, name)[0] for name in names]
    if any(receipt is None for receipt in found):
        return
    interactions, model, recommendations, metrics = (receipt for receipt in found if receipt is not None)
    served = opened(house, layout.REFITS)[0] if recommendations.made_from["params"].get("refit") else model
    if served is None:
        yield Finding("error", f"{layout.REFITS}: the model behind the recommendations has no receipt")
        return
    for receipt, behind in ((recommendations, served), (metrics, model)):
        version = behind.facts["model_version"]
        if receipt.facts["model_version"] != version:
            yield Finding(
                "error", f"{receipt.artifact} is of model {receipt.facts['model_version']}, the model is {version}"
            )
    yield from counts_agree(
        "rows of interactions", interactions.rows, interactions.facts["train_count"] + interactions.facts["test_count"]
    )
    yield from counts_agree("users with recommendations", recommendations.rows, served.facts["users"])


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
