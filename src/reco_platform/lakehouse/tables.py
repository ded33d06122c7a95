"""Open and check tables, models and files: their content must be exactly what their receipt describes.

From a lakehouse on a remote store, files are copied to this machine and checked against the manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from reco_platform.core.errors import TableError
from reco_platform.core.hashing import sha256
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import delta_log
from reco_platform.lakehouse.manifests import Manifest, manifest_key, read_manifest
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.paths import StorePath, copy_to_local, relative_path, run_in_parallel, sha256_file

if TYPE_CHECKING:
    import pyarrow.dataset as ds

CACHE = Path(".cache/lakehouse")  # copies of remote content; may be deleted at any time


@dataclass(frozen=True)
class OpenTable:
    """A table with exactly the files of the version that its receipt names."""

    path: StorePath
    manifest: Manifest
    version: int | None

    @cached_property
    def folder(self) -> Path:
        """The table's folder on this machine; a remote table is copied at the first access."""
        return local_folder(self.path, self.manifest)

    @property
    def files(self) -> list[Path]:
        return [self.folder / name for name in sorted(self.manifest.files)]

    @property
    def uris(self) -> list[str]:
        """The URIs of the files in the lakehouse, for Spark."""
        return [(self.path / name).absolute().as_uri() for name in sorted(self.manifest.files)]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.dataset().to_table(columns=list(columns) if columns else None)

    def dataset(self) -> ds.Dataset:
        """The files as an Arrow dataset. Raises TableError if there are none."""
        import pyarrow.dataset as ds  # noqa: PLC0415  # imports pandas, and many steps read no table

        if not self.files:
            raise TableError(f"{self.path} has no data files")
        folders = self.files[0].relative_to(self.folder).parts[:-1]
        kinds = pa.schema([(part.partition("=")[0], pa.int32()) for part in folders])
        return ds.dataset(
            [str(path) for path in self.files],
            format="parquet",
            partitioning=ds.partitioning(kinds, flavor="hive"),
            partition_base_dir=str(self.folder),
        )


# --- opening


def open_table(root: StorePath, receipt: Receipt, rebuild: str) -> OpenTable:
    """Opens the table that a receipt names; a Delta table at exactly the receipt's version.

    Args:
        root: the lakehouse.
        receipt: of the table.
        rebuild: the command that rebuilds the table, for the error message.

    Raises:
        TableError: the table is missing, changed or incomplete.
    """
    found = content_problem(root, receipt)
    if found is None and receipt.version is not None:
        found = log_problem(root / receipt.path, receipt.version)
    if found:
        raise TableError(found, f"rebuild it with: {rebuild}")
    folder = root / receipt.path
    manifest = read_manifest(folder, manifest_key(receipt))
    assert manifest is not None  # noqa: S101  # content_problem() has read it
    return OpenTable(folder, manifest, receipt.version)


def local_path(root: StorePath, receipt: Receipt) -> Path:
    """The file or folder that a receipt names, on this machine; call it after `content_problem` has found none.

    Args:
        root: the lakehouse.
        receipt: of a file, a model or another folder.
    """
    path = root / receipt.path
    if isinstance(path, Path):
        return path
    if receipt.kind == "file":
        copy = CACHE / sha256(str(root))[:8] / receipt.path
        copy_to_local(path, copy, None)  # content_problem() has compared its fingerprint
        return copy
    manifest = read_manifest(path, manifest_key(receipt))
    assert manifest is not None  # noqa: S101  # content_problem() has read it
    return local_folder(path, manifest)


def local_folder(folder: StorePath, manifest: Manifest) -> Path:
    """The folder with a version's files on this machine; remote files are copied and their checksums compared.

    Raises:
        StoreError: a remote file does not have the checksum of the manifest.
    """
    if isinstance(folder, Path):
        return folder
    copy = CACHE / sha256(f"{folder} {manifest.text()}")[:16] / folder.name
    missing = [
        (folder / name, copy / name, checksum)
        for name, (size, _, checksum) in manifest.files.items()
        if not (copy / name).is_file() or (copy / name).stat().st_size != size
    ]
    run_in_parallel(copy_to_local, missing)
    return copy


def content_bytes(root: StorePath, receipt: Receipt) -> int:
    """The size of what a receipt names, in bytes; 0 if it is missing."""
    path = root / receipt.path
    if path.is_file():
        return path.stat().st_size
    manifest = read_manifest(path, manifest_key(receipt))
    return sum(size for size, _, _ in manifest.files.values()) if manifest else 0


def data_files(folder: StorePath) -> list[StorePath]:
    """The data files in a folder and its subfolders; names that begin with _ or . are markers of writers."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(("_", ".")) for part in relative_path(path, folder).parts)
    )


# --- checking


def content_problem(root: StorePath, receipt: Receipt, *, thorough: bool = False) -> str | None:
    """Why the content that a receipt names is missing or differs from what was written; None if it is intact.

    Args:
        root: the lakehouse.
        receipt: of the content.
        thorough: compare every file's checksum; otherwise only of files whose modification time differs.
    """
    if receipt.kind == "absent":
        return None
    path = root / receipt.path
    if not path.exists():
        return f"{path} is missing"
    if receipt.kind == "file":
        return None if file_fingerprint(path) == receipt.fingerprint else f"{path} differs from what was written"
    manifest = read_manifest(path, manifest_key(receipt))
    if manifest is None or manifest.fingerprint != receipt.fingerprint:
        version = "" if receipt.version is None else f"version {receipt.version}, "
        return f"{path} no longer contains {version}fingerprint {receipt.fingerprint}"
    if receipt.version is not None and not delta_log.log_file(path, receipt.version).is_file():
        return f"the Delta log of {path} lacks version {receipt.version}"
    for name, (size, mtime_ns, checksum) in manifest.files.items():
        found = file_problem(path / name, size, mtime_ns, checksum, thorough=thorough)
        if found:
            return f"{path}: file {name} {found}"
    return None


def file_problem(path: StorePath, size: int, mtime_ns: int, checksum: str, *, thorough: bool) -> str | None:
    """Why a file is not what a manifest lists; None if it is."""
    try:
        stat = path.stat()
    except OSError:
        return "is missing"
    if stat.st_size != size:
        return f"has {stat.st_size:,} bytes, but {size:,} were written"
    if (thorough or stat.st_mtime_ns != mtime_ns) and sha256_file(path) != checksum:
        return "was replaced or damaged: its checksum differs"
    return None


def restore_problem(root: StorePath, receipt: Receipt) -> str | None:
    """Why content cannot be restored exactly: compares every checksum, and a Delta table's log; None if it can."""
    found = content_problem(root, receipt, thorough=True)
    return found if found or receipt.version is None else log_problem(root / receipt.path, receipt.version)


def log_problem(folder: StorePath, version: int) -> str | None:
    """Why a version's Delta log and its manifest do not list the same files; None if they do."""
    manifest = read_manifest(folder, version)
    if manifest is None:
        return f"{folder} no longer contains version {version}"
    damage = delta_log.log_damage(folder, version)
    if damage:
        return damage
    if delta_log.log_files(folder, version) != set(manifest.files):
        return f"the Delta log of {folder} lists other files for version {version} than were written"
    return None


def is_head(folder: StorePath, receipt: Receipt) -> bool:
    """Whether the newest version of a Delta table has the content that a receipt names."""
    head = delta_log.head_version(folder)
    if head is None or head == receipt.version:
        return head == receipt.version
    manifest = read_manifest(folder, head)
    return manifest is not None and manifest.fingerprint == receipt.fingerprint


def head_problem(folder: StorePath, receipt: Receipt) -> str | None:
    """A message if another program has committed to a Delta table since the receipt's version; None if not."""
    if receipt.version is None or is_head(folder, receipt):
        return None
    return f"{folder} was written by another program: its newest version is not {receipt.version}"
