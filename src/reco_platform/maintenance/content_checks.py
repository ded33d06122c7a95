"""Check the content of a result against its receipt: existence, size, version, rows and, on request, fingerprints."""

from __future__ import annotations

from pathlib import Path

from reco_platform.contracts.tables import CONTRACTS
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.files import VOLATILE_KEYS
from reco_platform.fingerprint.spec import arrow_fields, fingerprint, schema_hash
from reco_platform.lakehouse import publish, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als.model import model_fingerprint
from reco_platform.store.paths import StorePath
from reco_platform.tuning import data as sweep_data
from reco_platform.tuning import leaderboard

FOLDER_FINGERPRINTS = {"sweep_data": sweep_data.content_fingerprint, "leaderboard": leaderboard.folder_fingerprint}
"""The fingerprint of a folder's content by the step that makes it."""


def result_problem(lakehouse: Lakehouse, receipt: Receipt, deep: bool) -> str | None:
    """How a result differs from its receipt; None if it does not."""
    if receipt.kind == "table":
        foreign = publish.foreign_content(lakehouse.content(receipt.path), receipt.format, lakehouse.dataset)
        if foreign:
            return foreign
    root = lakehouse.path
    problem = tables.content_problem(root, receipt, thorough=deep)
    if problem is None and receipt.kind == "table":
        problem = table_problem(root, receipt, deep)
    if problem is None and deep and receipt.kind in {"model", "folder"}:
        problem = folder_problem(tables.local_path(root, receipt), receipt)
    return problem


def folder_problem(path: Path, receipt: Receipt) -> str | None:
    """How the fingerprint of a folder's content differs from its receipt; None if it does not."""
    compute = model_fingerprint if receipt.kind == "model" else FOLDER_FINGERPRINTS[receipt.made_from["step"]]
    try:
        found = compute(path)
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {error}"
    if found == receipt.fingerprint:
        return None
    return f"{path} has fingerprint {found}, its receipt says {receipt.fingerprint}"


def table_problem(root: StorePath, receipt: Receipt, deep: bool) -> str | None:
    """How a table's log, number of rows or fingerprint differs from its receipt; None if they do not."""
    path = root / receipt.path
    if receipt.version is not None:
        problem = tables.log_problem(path, receipt.version) or tables.head_problem(path, receipt)
        if problem:
            return problem
    table = tables.open_table(root, receipt, "")
    rows = table.dataset().count_rows()
    if rows != receipt.rows:
        return f"{path} has {rows:,} rows, its receipt says {receipt.rows:,}"
    if deep:
        contract = CONTRACTS[path.name]
        names = [field.name for field in contract.fields if field.name not in VOLATILE_KEYS]
        content = table.read(contract.names).cast(contract.schema)
        found = fingerprint(contract.schema_hash, arrow_sums(content, names))
        if found != receipt.fingerprint:
            return f"the rows of {path} have fingerprint {found}, its receipt says {receipt.fingerprint}"
    return None


def quarantine_problem(lakehouse: Lakehouse, receipt: Receipt, deep: bool) -> str | None:
    """How the rejected rows of a table differ from their receipt; None if they do not."""
    path = lakehouse.content(receipt.path)
    problem = tables.content_problem(lakehouse.path, receipt, thorough=deep)
    if problem is None and receipt.version is not None:
        problem = tables.log_problem(path, receipt.version)
    if problem is None and deep:
        rows = tables.open_table(lakehouse.path, receipt, "").read()
        found = fingerprint(schema_hash(arrow_fields(rows.schema)), arrow_sums(rows, rows.schema.names))
        if found != receipt.fingerprint:
            problem = f"the rows of {path} have fingerprint {found}, expected {receipt.fingerprint}"
    return problem
