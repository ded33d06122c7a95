"""Tables, models and files in a lakehouse: opened only as their receipt says.

Beside the data, `_manifests/` lists the files of each version with size and checksum; `publishing` writes both. Of a
lakehouse on a remote store, who opens content gets a copy on this machine, checked against the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from reco_platform.core.errors import TableError
from reco_platform.core.hashing import sha256
from reco_platform.fingerprint import files as file_fingerprint
from reco_platform.lakehouse import delta_log
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.paths import StorePath, copy_to_local, relative_path, run_in_parallel, sha256_file

if TYPE_CHECKING:
    import pyarrow.dataset as ds

MANIFESTS = "_manifests"
MEMO = "_memo"
PENDING = "pending"
CACHE = Path(".cache/lakehouse")  # copies of remote content; may be deleted at any time


@dataclass(frozen=True)
class Manifest:
    """The files of one version.

    Attributes:
        fingerprint: of the content.
        rows: number of rows.
        files: relative path to (bytes, modification time in ns, sha256).
        dataset: of a table the data set that it was made from.
    """

    fingerprint: str
    rows: int
    files: Mapping[str, tuple[int, int, str]]
    dataset: str = ""

    def text(self) -> str:
        return json.dumps(asdict(self), indent=0)


@dataclass(frozen=True)
class Opened:
    """A table as its receipt says: its place and exactly the files of that version."""

    place: StorePath
    manifest: Manifest
    version: int | None

    @cached_property
    def folder(self) -> Path:
        """The table's folder on this machine; of a remote table a copy, made when first asked for."""
        return on_this_machine(self.place, self.manifest)

    @property
    def files(self) -> list[Path]:
        return [self.folder / name for name in sorted(self.manifest.files)]

    @property
    def uris(self) -> list[str]:
        """Where the files lie, for Spark."""
        return [(self.place / name).absolute().as_uri() for name in sorted(self.manifest.files)]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.dataset().to_table(columns=list(columns) if columns else None)

    def dataset(self) -> ds.Dataset:
        import pyarrow.dataset as ds  # noqa: PLC0415  # imports pandas, and many steps read no table

        if not self.files:
            raise TableError(f"{self.place} has no data files")
        folders = self.files[0].relative_to(self.folder).parts[:-1]
        kinds = pa.schema([(part.partition("=")[0], pa.int32()) for part in folders])
        return ds.dataset(
            [str(path) for path in self.files],
            format="parquet",
            partitioning=ds.partitioning(kinds, flavor="hive"),
            partition_base_dir=str(self.folder),
        )


# --- opening and checking


def manifest_path(folder: StorePath, key: int | str) -> StorePath:
    return folder / MANIFESTS / f"{key}.json"


def manifest_key(receipt: Receipt) -> int | str:
    return receipt.version if receipt.version is not None else receipt.fingerprint


def read_manifest(folder: StorePath, key: int | str) -> Manifest | None:
    try:
        body = json.loads(manifest_path(folder, key).read_text(encoding="utf-8"))
        files = {name: (entry[0], entry[1], entry[2]) for name, entry in body["files"].items()}
        return Manifest(body["fingerprint"], body["rows"], files, body.get("dataset", ""))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def manifest_keys(folder: StorePath) -> list[int | str]:
    """The versions (Delta) or fingerprints (Parquet) of which a table keeps a manifest, rising."""
    stems = sorted(path.stem for path in (folder / MANIFESTS).glob("*.json") if path.stem != PENDING)
    numbers = [int(stem) for stem in stems if stem.isdigit()]
    return sorted(numbers) if (folder / "_delta_log").is_dir() else list(stems)


def holds_fingerprint(folder: StorePath, key: int | str, fingerprint: str) -> bool:
    """Whether the manifest of a version is of this content."""
    manifest = read_manifest(folder, key)
    return manifest is not None and manifest.fingerprint == fingerprint


def problem(root: StorePath, receipt: Receipt, *, thorough: bool = False) -> str | None:
    """Why the content that a receipt names is not there as written; None if it is.

    Args:
        root: the lakehouse.
        receipt: what should be there.
        thorough: compare every file's checksum; otherwise only of files whose time of change differs.
    """
    if receipt.kind == "absent":
        return None
    path = root / receipt.path
    if not path.exists():
        return f"{path} is missing"
    if receipt.kind == "file":
        return (
            None
            if file_fingerprint.file_fingerprint(path) == receipt.fingerprint
            else f"{path} differs from what was written"
        )
    manifest = read_manifest(path, manifest_key(receipt))
    if manifest is None or manifest.fingerprint != receipt.fingerprint:
        return f"{path} no longer holds {described(receipt)}"
    if receipt.version is not None and not delta_log.log_file(path, receipt.version).is_file():
        return f"the log of {path} lacks version {receipt.version}"
    for name, (size, changed, checksum) in manifest.files.items():
        found = file_problem(path / name, size, changed, checksum, thorough=thorough)
        if found:
            return f"{path}: file {name} {found}"
    return None


def described(receipt: Receipt) -> str:
    version = "" if receipt.version is None else f"version {receipt.version}, "
    return f"{version}fingerprint {receipt.fingerprint}"


def file_problem(path: StorePath, size: int, changed: int, checksum: str, *, thorough: bool) -> str | None:
    try:
        stat = path.stat()
    except OSError:
        return "is missing"
    if stat.st_size != size:
        return f"has {stat.st_size:,} bytes where {size:,} were written"
    if (thorough or stat.st_mtime_ns != changed) and sha256_file(path) != checksum:
        return "was replaced or damaged: its checksum differs"
    return None


def whole_problem(root: StorePath, receipt: Receipt) -> str | None:
    """The same to the last byte, with the log of a Delta table: whether content can be restored as it was."""
    found = problem(root, receipt, thorough=True)
    return found if found or receipt.version is None else log_problem(root / receipt.path, receipt.version)


def open_table(root: StorePath, receipt: Receipt, rebuild: str) -> Opened:
    """The table that a receipt names, with Delta at exactly its version.

    Args:
        root: the lakehouse.
        receipt: what to open.
        rebuild: the command that rebuilds it, for the message.

    Raises:
        TableError: if the table is missing, changed or half-written.
    """
    found = problem(root, receipt)
    if found is None and receipt.version is not None:
        found = log_problem(root / receipt.path, receipt.version)
    if found:
        raise TableError(found, f"rebuild it with: {rebuild}")
    folder = root / receipt.path
    manifest = read_manifest(folder, manifest_key(receipt))
    assert manifest is not None  # noqa: S101  # problem() has read it
    return Opened(folder, manifest, receipt.version)


def path_of(root: StorePath, receipt: Receipt) -> Path:
    """The file or folder that a receipt names, on this machine; to be called after `problem` found none.

    Args:
        root: the lakehouse.
        receipt: of a file, a model or another folder.
    """
    path = root / receipt.path
    if isinstance(path, Path):
        return path
    if receipt.kind == "file":
        here = CACHE / sha256(str(root))[:8] / receipt.path
        copy_to_local(path, here, None)  # whether it is as written, its fingerprint has told
        return here
    manifest = read_manifest(path, manifest_key(receipt))
    assert manifest is not None  # noqa: S101  # problem() has read it
    return on_this_machine(path, manifest)


def on_this_machine(folder: StorePath, manifest: Manifest) -> Path:
    """The folder of a version's files: the content's own, or of a remote one a copy that is checked as it comes."""
    if isinstance(folder, Path):
        return folder
    here = CACHE / sha256(f"{folder} {manifest.text()}")[:16] / folder.name
    missing = [
        (folder / name, here / name, checksum)
        for name, (size, _, checksum) in manifest.files.items()
        if not (here / name).is_file() or (here / name).stat().st_size != size
    ]
    run_in_parallel(copy_to_local, missing)
    return here


def log_problem(folder: StorePath, version: int) -> str | None:
    """Why the Delta log does not name the files that the manifest of that version does; None if it does."""
    manifest = read_manifest(folder, version)
    if manifest is None:
        return f"{folder} no longer holds version {version}"
    unreadable = delta_log.log_damage(folder, version)
    if unreadable:
        return unreadable
    if delta_log.log_files(folder, version) != set(manifest.files):
        return f"the Delta log of {folder} names other files at version {version} than were written"
    return None


def content_bytes(root: StorePath, receipt: Receipt) -> int:
    """The size of what a receipt names, in bytes; 0 where it is not there."""
    path = root / receipt.path
    if path.is_file():
        return path.stat().st_size
    manifest = read_manifest(path, manifest_key(receipt))
    return sum(size for size, _, _ in manifest.files.values()) if manifest else 0


# --- content of single files; keys that hold the time of writing, or what it took, do not count


# --- publishing


def data_files(folder: StorePath) -> list[StorePath]:
    """The data files below a folder, whatever a writer calls its markers left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(("_", ".")) for part in relative_path(path, folder).parts)
    )


# --- going back


def head_is(folder: StorePath, receipt: Receipt) -> bool:
    """Whether the newest version of a Delta table is the content that a receipt names."""
    head = delta_log.head_version(folder)
    if head is None or head == receipt.version:
        return head == receipt.version
    manifest = read_manifest(folder, head)
    return manifest is not None and manifest.fingerprint == receipt.fingerprint


def head_problem(folder: StorePath, receipt: Receipt) -> str | None:
    """Whether another program has added to a Delta table since, in words; None if not."""
    if receipt.version is None or head_is(folder, receipt):
        return None
    return f"{folder} was written by something else: its newest version is not {receipt.version}"
