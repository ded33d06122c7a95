"""Tables, models and files in a lakehouse: published whole or not at all, opened only as their receipt says.

Every writer first makes a staging folder of plain Parquet. Publishing it is one atomic act: a commit to the Delta log,
or an exchange of two folders. Beside the data, `_manifests/` lists the files of each version with size and checksum.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from reco_platform.errors import TableError
from reco_platform.receipts import Receipt, write_text

MANIFESTS = "_manifests"
MEMO = "_memo"
STAGING = "_staging"
PENDING = "pending"
PARTITIONING_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Manifest:
    """The files of one version: relative path to (bytes, modification time in ns, sha256)."""

    fingerprint: str
    rows: int
    files: Mapping[str, tuple[int, int, str]]

    def text(self) -> str:
        return json.dumps({"fingerprint": self.fingerprint, "rows": self.rows, "files": self.files}, indent=0)


@dataclass(frozen=True)
class Opened:
    """A table as its receipt says: its local folder and exactly the files of that version."""

    folder: Path
    files: list[Path]
    version: int | None

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.dataset().to_table(columns=list(columns) if columns else None)

    @property
    def uris(self) -> list[str]:
        """The addresses of its files, as Spark reads them."""
        return [path.absolute().as_uri() for path in self.files]

    def dataset(self) -> ds.Dataset:
        if not self.files:
            raise TableError(f"{self.folder} has no data files")
        folders = self.files[0].relative_to(self.folder).parts[:-1]
        kinds = pa.schema([(part.partition("=")[0], pa.int32()) for part in folders])
        return ds.dataset(
            [str(path) for path in self.files],
            format="parquet",
            partitioning=ds.partitioning(kinds, flavor="hive"),
            partition_base_dir=str(self.folder),
        )


# --- opening and checking


def manifest_path(folder: Path, key: int | str) -> Path:
    return folder / MANIFESTS / f"{key}.json"


def manifest_key(receipt: Receipt) -> int | str:
    return receipt.version if receipt.version is not None else receipt.fingerprint


def read_manifest(folder: Path, key: int | str) -> Manifest | None:
    try:
        body = json.loads(manifest_path(folder, key).read_text(encoding="utf-8"))
        files = {name: (entry[0], entry[1], entry[2]) for name, entry in body["files"].items()}
        return Manifest(body["fingerprint"], body["rows"], files)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def problem(root: Path, receipt: Receipt, *, thorough: bool = False) -> str | None:
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
        return None if file_fingerprint(path) == receipt.fingerprint else f"{path} differs from what was written"
    manifest = read_manifest(path, manifest_key(receipt))
    if manifest is None or manifest.fingerprint != receipt.fingerprint:
        return f"{path} no longer holds {described(receipt)}"
    if receipt.version is not None and not log_file(path, receipt.version).is_file():
        return f"the log of {path} lacks version {receipt.version}"
    for name, (size, changed, checksum) in manifest.files.items():
        found = file_problem(path / name, size, changed, checksum, thorough=thorough)
        if found:
            return f"{path}: file {name} {found}"
    return None


def described(receipt: Receipt) -> str:
    version = "" if receipt.version is None else f"version {receipt.version}, "
    return f"{version}fingerprint {receipt.fingerprint}"


def file_problem(path: Path, size: int, changed: int, checksum: str, *, thorough: bool) -> str | None:
    try:
        stat = path.stat()
    except OSError:
        return "is missing"
    if stat.st_size != size:
        return f"has {stat.st_size:,} bytes where {size:,} were written"
    if (thorough or stat.st_mtime_ns != changed) and sha256_file(path) != checksum:
        return "was replaced or damaged: its checksum differs"
    return None


def open_table(root: Path, receipt: Receipt, rebuild: str) -> Opened:
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
    return Opened(folder, [folder / name for name in sorted(manifest.files)], receipt.version)


def log_problem(folder: Path, version: int) -> str | None:
    """Why the Delta log does not name the files that the manifest of that version does; None if it does."""
    manifest = read_manifest(folder, version)
    if manifest is None:
        return f"{folder} no longer holds version {version}"
    try:
        logged = log_files(folder, version)
    except Exception as error:  # delta-rs raises its own kinds for each damage of a log
        return f"the Delta log of {folder} cannot be read at version {version}: {error}"
    if logged != set(manifest.files):
        return f"the Delta log of {folder} names other files at version {version} than were written"
    return None


def log_files(folder: Path, version: int) -> set[str]:
    from deltalake import DeltaTable  # noqa: PLC0415  # 0.3 s that only opening needs

    actions = pa.table(DeltaTable(str(folder), version=version).get_add_actions())
    return {unquote(name) for name in actions["path"].to_pylist()}


def log_file(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020d}.json"


def head_version(folder: Path) -> int | None:
    """The newest version in a Delta log; None where there is no table."""
    versions = [int(path.stem) for path in (folder / "_delta_log").glob("*.json") if path.stem.isdigit()]
    return max(versions, default=None)


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_bytes(root: Path, receipt: Receipt) -> int:
    """The size of what a receipt names, in bytes; 0 where it is not there."""
    path = root / receipt.path
    if path.is_file():
        return path.stat().st_size
    manifest = read_manifest(path, manifest_key(receipt))
    return sum(size for size, _, _ in manifest.files.values()) if manifest else 0


# --- content of single files; keys that hold the time of writing, or what it took, do not count

VOLATILE_KEYS = frozenset({"execution_ts", "generated_ts", "peak_memory_mb", "seconds"})


def file_fingerprint(path: Path) -> str:
    """Sixteen hex digits of a file's content; of a JSON file without the keys that do not count."""
    content = path.read_bytes() if path.suffix == ".json" else None
    if content is None:
        return sha256_file(path)[:16]
    try:
        body = json.loads(content)
    except ValueError:
        return hashlib.sha256(content).hexdigest()[:16]
    stable = json.dumps(without_volatile(body), sort_keys=True)
    return hashlib.sha256(stable.encode()).hexdigest()[:16]


def without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_volatile(item) for key, item in value.items() if key not in VOLATILE_KEYS}
    return [without_volatile(item) for item in value] if isinstance(value, list) else value


# --- publishing


def staging_folder(target: Path) -> Path:
    """A new, empty staging folder for a table or model; what an earlier, killed writer left is removed."""
    clean_up(target)
    staging = staging_name(target)
    staging.mkdir(parents=True)
    return staging


def staging_name(target: Path) -> Path:
    return target.parent / f"{STAGING}-{target.name}"


def clean_up(target: Path) -> None:
    """Removes what a killed writer of `target` may have left: staging folders and files of no version."""
    shutil.rmtree(staging_name(target), ignore_errors=True)
    pending = read_manifest(target, PENDING)
    if pending is not None:
        head = head_version(target)
        try:
            committed = log_files(target, head) if head is not None else set()
        except Exception:  # a damaged log names nothing that could be removed safely; publishing will say so
            return
        for name in set(pending.files) - committed:
            (target / name).unlink(missing_ok=True)
        manifest_path(target, PENDING).unlink()


def publish_table(
    staging: Path,
    target: Path,
    *,
    storage_format: str,
    schema: pa.Schema,
    partition_by: Sequence[str],
    fingerprint: str,
    rows: int,
) -> int | None:
    """Makes the Parquet files of a staging folder the content of a table.

    Nothing is committed where the table already holds this fingerprint, undamaged.

    Args:
        staging: plain Parquet files, hive-partitioned by `partition_by`; gone afterwards.
        target: the table's folder.
        storage_format: delta or parquet.
        schema: all columns, the partition columns included.
        partition_by: names of the partition columns.
        fingerprint: of the content.
        rows: number of rows.

    Returns:
        The Delta version that holds the content; None for Parquet.

    Raises:
        TableError: if the folder holds a table of the other format.
    """
    refuse_other_format(target, storage_format)
    if storage_format == "parquet":
        publish_folder(staging, target, fingerprint=fingerprint, rows=rows)
        return None
    head = head_version(target)
    if head is not None and holds(target, head, fingerprint):
        shutil.rmtree(staging)
        return head
    return commit_delta(staging, target, schema, partition_by, fingerprint=fingerprint, rows=rows)


def refuse_other_format(target: Path, storage_format: str) -> None:
    is_delta = (target / "_delta_log").is_dir()
    if target.is_dir() and is_delta != (storage_format == "delta") and has_data(target):
        found = "delta" if is_delta else "parquet"
        raise TableError(
            f"{target} holds a {found} table, and storage_format is {storage_format}",
            f"use another lakehouse (--config lakehouse=...), or keep storage_format={found}, or delete {target}",
        )


def has_data(folder: Path) -> bool:
    return any(not path.name.startswith(("_", ".")) for path in folder.iterdir()) or (folder / "_delta_log").is_dir()


def holds(folder: Path, version: int, fingerprint: str) -> bool:
    """Whether a version of a Delta table is of this fingerprint and undamaged."""
    receipt = Receipt(artifact="", kind="table", path=".", version=version, fingerprint=fingerprint)
    return problem(folder, receipt) is None and log_problem(folder, version) is None


def data_files(folder: Path) -> list[Path]:
    """The data files below a folder, whatever a writer calls its markers left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts)
    )


def manifest_of(folder: Path, names: Mapping[Path, str], fingerprint: str, rows: int) -> Manifest:
    entries = {}
    for path, name in names.items():
        stat = path.stat()
        entries[name] = (stat.st_size, stat.st_mtime_ns, sha256_file(path))
    return Manifest(fingerprint, rows, entries)


def commit_delta(
    staging: Path, target: Path, schema: pa.Schema, partition_by: Sequence[str], *, fingerprint: str, rows: int
) -> int:
    """Moves staged files into a Delta table and commits them as its whole new content."""
    from deltalake import CommitProperties, DeltaTable, Schema  # noqa: PLC0415
    from deltalake.exceptions import DeltaError  # noqa: PLC0415
    from deltalake.transaction import create_table_with_add_actions  # noqa: PLC0415

    head = head_version(target)
    version = 0 if head is None else head + 1
    names = {
        path: str(path.relative_to(staging).parent / f"part-{version:05d}-{number:05d}.parquet")
        for number, path in enumerate(data_files(staging))
    }
    manifest = manifest_of(staging, names, fingerprint, rows)
    actions = [add_action(path, name, manifest.files[name], partition_by) for path, name in names.items()]
    write_text(manifest_path(target, PENDING), manifest.text())
    for path, name in names.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        path.rename(target / name)
    write_text(manifest_path(target, version), manifest.text())
    properties = CommitProperties(custom_metadata={"fingerprint": fingerprint, "rows": str(rows)})
    delta_schema = Schema.from_arrow(schema)
    if head is None:
        create_table_with_add_actions(
            str(target), delta_schema, actions, mode="overwrite", partition_by=list(partition_by),
            commit_properties=properties,
        )  # fmt: skip
    else:
        try:
            table = DeltaTable(str(target))
            table.create_write_transaction(
                actions, "overwrite", delta_schema, list(partition_by), commit_properties=properties
            )
        except DeltaError as error:
            raise TableError(
                f"the Delta log of {target} is damaged: {error}", f"delete {target} and run again: its steps rebuild it"
            ) from error
    manifest_path(target, PENDING).unlink()
    shutil.rmtree(staging)
    return version


def add_action(path: Path, name: str, entry: tuple[int, int, str], partition_by: Sequence[str]) -> Any:
    from deltalake.transaction import AddAction  # noqa: PLC0415

    pairs = dict(part.partition("=")[::2] for part in Path(name).parts[:-1])
    values = {column: None if pairs[column] == PARTITIONING_NULL else unquote(pairs[column]) for column in partition_by}
    size, changed, _ = entry
    return AddAction(name, size, values, changed // 1_000_000, True, json.dumps(file_statistics(path)))


def file_statistics(path: Path) -> dict[str, Any]:
    """Delta's statistics of one Parquet file from its footer: rows, and the range of each whole-number column."""
    footer = pq.read_metadata(path)
    lows: dict[str, int] = {}
    highs: dict[str, int] = {}
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            column = footer.row_group(group).column(index)
            found = column.statistics
            if column.physical_type != "INT32" or "." in column.path_in_schema or not (found and found.has_min_max):
                continue
            name = column.path_in_schema
            lows[name] = min(found.min, lows.get(name, found.min))
            highs[name] = max(found.max, highs.get(name, found.max))
    return {"numRecords": footer.num_rows, "minValues": lows, "maxValues": highs}


def publish_folder(staging: Path, target: Path, *, fingerprint: str, rows: int) -> None:
    """Puts a staging folder in the place of `target` in one act; the memo of the old one is kept."""
    names = {path: str(path.relative_to(staging)) for path in data_files(staging)}
    for marker in [path for path in staging.rglob("*") if path.is_file() and path not in names]:
        marker.unlink()
    manifest = manifest_of(staging, names, fingerprint, rows)
    write_text(manifest_path(staging, fingerprint), manifest.text())
    if (target / MEMO).is_dir():
        shutil.copytree(target / MEMO, staging / MEMO, dirs_exist_ok=True)
    if target.exists():
        exchange(staging, target)
        shutil.rmtree(staging)
    else:
        staging.rename(target)


RENAME_EXCHANGE = 2  # linux/fs.h
AT_FDCWD = -100


def exchange(first: Path, second: Path) -> None:
    """Swaps two folders: in one act where the system can (renameat2), otherwise by three renames."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        arguments = (AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE)
        if libc.renameat2(*arguments) == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(second))
    aside = first.with_name(first.name + "-old")
    second.rename(aside)
    first.rename(second)
    aside.rename(first)


# --- going back


def restore_head(root: Path, receipt: Receipt) -> None:
    """Makes an older version of a Delta table its newest again, so that other readers see what the receipt says."""
    folder = root / receipt.path
    if receipt.version is None or head_is(folder, receipt):
        return
    from deltalake import DeltaTable  # noqa: PLC0415

    table = DeltaTable(str(folder))
    table.restore(receipt.version)
    old = manifest_path(folder, receipt.version).read_text(encoding="utf-8")
    write_text(manifest_path(folder, table.version()), old)


def head_is(folder: Path, receipt: Receipt) -> bool:
    """Whether the newest version of a Delta table is the content that a receipt names."""
    head = head_version(folder)
    if head is None or head == receipt.version:
        return head == receipt.version
    manifest = read_manifest(folder, head)
    return manifest is not None and manifest.fingerprint == receipt.fingerprint
