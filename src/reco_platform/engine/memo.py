"""The memo: a cache of earlier results of a step, keyed by digest, to restore instead of compute."""

from __future__ import annotations

from pathlib import Path

from reco_platform.core.errors import TableError
from reco_platform.engine.task import LAST, QUALITY_FINGERPRINT, Task
from reco_platform.fingerprint.files import content_fingerprint, file_has_fingerprint
from reco_platform.lakehouse import publish, quarantine, receipts, tables
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store import atomic_write
from reco_platform.store.paths import StorePath


def entries(folder: StorePath) -> list[StorePath]:
    """Paths of the receipts in a memo, the newest first."""
    paths = [path for path in folder.glob("*.json") if path.stem != LAST]
    return sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def read_or_none(path: StorePath) -> Receipt | None:
    """The receipt at a path; None if it cannot be read."""
    try:
        return receipts.read(path)
    except TableError:
        return None


def restore_problem(task: Task) -> str | None:
    """Why the result with the same digest cannot be restored: empty if there is none, None if it can be restored.

    Every byte is compared, so that only undamaged content is restored.
    """
    try:
        receipt = receipts.read(entry_path(task))
    except TableError:
        return ""
    companion = companion_file(task, receipt)
    if companion and not payload_matches(task, *companion):
        return f"the memo no longer holds {task.root / companion[0]}"
    if receipt.kind == "file":
        return None
    return tables.restore_problem(task.root, receipt) or quarantine.quarantine_problem(task.root, receipt)


def companion_file(task: Task, receipt: Receipt) -> tuple[str, str] | None:
    """Path and fingerprint of the small file that the memo copies: a file result, or a table's quality report.

    Unlike a Delta table, such a file keeps no older versions.
    """
    if receipt.kind == "file":
        return receipt.path, receipt.fingerprint
    found = receipt.facts.get(QUALITY_FINGERPRINT)
    return (task.lakehouse.quality_report(Path(receipt.artifact).name), found) if found else None


def payload_matches(task: Task, path: str, fingerprint: str) -> bool:
    try:
        content = payload_path(task).read_bytes()
    except OSError:
        return False
    return content_fingerprint(content, Path(path).suffix) == fingerprint


def entry_path(task: Task) -> StorePath:
    return task.memo / f"{task.digest}.json"


def payload_path(task: Task) -> StorePath:
    """Path of the memo's copy of a small file."""
    return entry_path(task).with_suffix(".payload")


def restore(task: Task) -> Receipt:
    """Restores the earlier result with the same digest, and returns its receipt."""
    receipt = receipts.read(entry_path(task))
    companion = companion_file(task, receipt)
    if companion and not file_has_fingerprint(task.root / companion[0], companion[1]):
        atomic_write.write_bytes(task.root / companion[0], payload_path(task).read_bytes())
    if receipt.kind == "table":
        publish.restore_head(task.root, receipt)
    atomic_write.write_text(task.memo / f"{LAST}.json", receipt.text())
    atomic_write.write_text(task.receipt_path, receipt.text())
    return receipt


def remember(task: Task, receipt: Receipt) -> None:
    """Adds a receipt to the memo, with a copy of its companion file."""
    companion = companion_file(task, receipt)
    if companion:
        atomic_write.write_bytes(payload_path(task), (task.root / companion[0]).read_bytes())
    atomic_write.write_text(entry_path(task), receipt.text())
    atomic_write.write_text(task.memo / f"{LAST}.json", receipt.text())
