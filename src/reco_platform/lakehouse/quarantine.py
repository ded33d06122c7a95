"""Rejected rows: a table beside each silver table, which has no receipt of its own but is named in that one's facts."""

from __future__ import annotations

from pathlib import PurePosixPath

from reco_platform.lakehouse import layout, storage
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.paths import StorePath

FINGERPRINT = "quarantine_fingerprint"
"""The fact that names the rejected rows."""


def made_with(root: StorePath, receipt: Receipt) -> Receipt | None:
    """The rejected rows that belong to a result, as if they had a receipt; None where it has none.

    Of a Delta table the newest version that holds them; the version is None where none does.
    """
    wanted = receipt.facts.get(FINGERPRINT)
    if not wanted:
        return None
    path = layout.quarantine(PurePosixPath(receipt.artifact).name)
    folder = root / path
    versions = [key for key in storage.manifest_keys(folder) if storage.holds_fingerprint(folder, key, wanted)]
    newest = versions[-1] if versions else None
    return Receipt(path, "table", path, receipt.format, newest if isinstance(newest, int) else None, fingerprint=wanted)


def problem(root: StorePath, receipt: Receipt) -> str | None:
    """Why the rejected rows that belong to a result are not there to the last byte; None if they are."""
    made = made_with(root, receipt)
    return storage.whole_problem(root, made) if made else None
