"""Manifests list the files of each version of a table, model or folder, with their sizes and checksums.

They are in the folder `_manifests/` beside the data, named by Delta version or, for everything else, by fingerprint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.paths import StorePath, sha256_file

MANIFESTS = "_manifests"
"""Folder beside the data."""

MEMO = "_memo"
"""Folder beside the data with the receipts of earlier results, which the rerun engine writes."""

PENDING = "pending"
"""Name of the manifest of a Delta version that is being written; a killed writer leaves it behind."""


@dataclass(frozen=True)
class Manifest:
    """The files of one version.

    Attributes:
        fingerprint: of the content.
        rows: number of rows.
        files: relative path to (bytes, modification time in ns, sha256).
        dataset: for a table, the data set that it was made from.
    """

    fingerprint: str
    rows: int
    files: Mapping[str, tuple[int, int, str]]
    dataset: str = ""

    def text(self) -> str:
        return json.dumps(asdict(self), indent=0)


def build_manifest(names: Mapping[StorePath, str], fingerprint: str, rows: int, dataset: str) -> Manifest:
    """The manifest of staged files.

    Args:
        names: each file's path, and its path relative to the folder that it will be moved to.
        fingerprint: of the content.
        rows: number of rows.
        dataset: name of the data set.
    """
    files = {}
    for path, name in names.items():
        stat = path.stat()
        files[name] = (stat.st_size, stat.st_mtime_ns, sha256_file(path))
    return Manifest(fingerprint, rows, files, dataset)


def with_stored_times(manifest: Manifest, folder: StorePath) -> Manifest:
    """The manifest with the files' modification times in their final folder: a remote store sets its own."""
    if isinstance(folder, Path):
        return manifest
    files = {
        name: (size, (folder / name).stat().st_mtime_ns, checksum)
        for name, (size, _, checksum) in manifest.files.items()
    }
    return replace(manifest, files=files)


def manifest_path(folder: StorePath, key: int | str) -> StorePath:
    """The path of a manifest, by Delta version or fingerprint."""
    return folder / MANIFESTS / f"{key}.json"


def manifest_key(receipt: Receipt) -> int | str:
    return receipt.version if receipt.version is not None else receipt.fingerprint


def read_manifest(folder: StorePath, key: int | str) -> Manifest | None:
    """A manifest; None if it is missing or damaged."""
    try:
        body = json.loads(manifest_path(folder, key).read_text(encoding="utf-8"))
        files = {name: (entry[0], entry[1], entry[2]) for name, entry in body["files"].items()}
        return Manifest(body["fingerprint"], body["rows"], files, body.get("dataset", ""))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def manifest_keys(folder: StorePath) -> list[int | str]:
    """The versions (Delta) or fingerprints (Parquet) that have a manifest, ascending."""
    stems = sorted(path.stem for path in (folder / MANIFESTS).glob("*.json") if path.stem != PENDING)
    numbers = [int(stem) for stem in stems if stem.isdigit()]
    return sorted(numbers) if (folder / "_delta_log").is_dir() else list(stems)


def version_has_fingerprint(folder: StorePath, key: int | str, fingerprint: str) -> bool:
    """Whether the manifest of a version has this fingerprint."""
    manifest = read_manifest(folder, key)
    return manifest is not None and manifest.fingerprint == fingerprint
