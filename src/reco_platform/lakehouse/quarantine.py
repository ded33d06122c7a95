"""Rejected rows: a table for each silver table. It has no receipt; a fact of the silver table's receipt names it."""

from __future__ import annotations

from pathlib import PurePosixPath

from reco_platform.lakehouse import layout
from reco_platform.lakehouse.manifests import manifest_keys, version_has_fingerprint
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.lakehouse.tables import restore_problem
from reco_platform.store.paths import StorePath

FINGERPRINT_FACT = "quarantine_fingerprint"
"""The fact with the fingerprint of the rejected rows."""


def quarantine_receipt(root: StorePath, receipt: Receipt) -> Receipt | None:
    """A receipt for the rejected rows that belong to a silver table; None if there are none.

    For a Delta table it names the newest version with these rows; its version is None if there is no such version.
    """
    wanted = receipt.facts.get(FINGERPRINT_FACT)
    if not wanted:
        return None
    path = layout.quarantine(PurePosixPath(receipt.artifact).name)
    folder = root / path
    versions = [key for key in manifest_keys(folder) if version_has_fingerprint(folder, key, wanted)]
    newest = versions[-1] if versions else None
    return Receipt(path, "table", path, receipt.format, newest if isinstance(newest, int) else None, fingerprint=wanted)


def quarantine_problem(root: StorePath, receipt: Receipt) -> str | None:
    """Why the rejected rows that belong to a silver table are missing or damaged; None if they are intact."""
    rejected = quarantine_receipt(root, receipt)
    return restore_problem(root, rejected) if rejected else None
