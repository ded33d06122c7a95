"""Tables, models and files in a lakehouse: published whole or not at all, opened only as their receipt says.

Every writer first makes a staging folder of plain Parquet. Publishing it is one atomic act: a commit to the Delta log,
or an exchange of two folders. Beside the data, `_manifests/` lists the files of each version with size and checksum.

Of a lakehouse on a remote store, content is made in a staging folder of this machine and brought there by publishing;
who opens it gets a copy on this machine, checked against the manifest.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from reco_platform.digests import sha256
from reco_platform.errors import RecoError, TableError
from reco_platform.limits import refused
from reco_platform.places import (
    HdfsPath,
    Place,
    answered,
    below,
    copy,
    fetch,
    move,
    readable,
    remove_tree,
    sha256_file,
    side_by_side,
)
from reco_platform.receipts import Receipt, write_text

MANIFESTS = "_manifests"
MEMO = "_memo"
STAGING = "_staging"
PENDING = "pending"
PARTITIONING_NULL = "__HIVE_DEFAULT_PARTITION__"
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

    place: Place
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


def manifest_path(folder: Place, key: int | str) -> Place:
    return folder / MANIFESTS / f"{key}.json"


def manifest_key(receipt: Receipt) -> int | str:
    return receipt.version if receipt.version is not None else receipt.fingerprint


def read_manifest(folder: Place, key: int | str) -> Manifest | None:
    try:
        body = json.loads(manifest_path(folder, key).read_text(encoding="utf-8"))
        files = {name: (entry[0], entry[1], entry[2]) for name, entry in body["files"].items()}
        return Manifest(body["fingerprint"], body["rows"], files, body.get("dataset", ""))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def manifest_keys(folder: Place) -> list[int | str]:
    """The versions (Delta) or fingerprints (Parquet) of which a table keeps a manifest, rising."""
    stems = sorted(path.stem for path in (folder / MANIFESTS).glob("*.json") if path.stem != PENDING)
    numbers = [int(stem) for stem in stems if stem.isdigit()]
    return sorted(numbers) if (folder / "_delta_log").is_dir() else list(stems)


def holds_fingerprint(folder: Place, key: int | str, fingerprint: str) -> bool:
    """Whether the manifest of a version is of this content."""
    manifest = read_manifest(folder, key)
    return manifest is not None and manifest.fingerprint == fingerprint


def problem(root: Place, receipt: Receipt, *, thorough: bool = False) -> str | None:
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


def file_problem(path: Place, size: int, changed: int, checksum: str, *, thorough: bool) -> str | None:
    try:
        stat = path.stat()
    except OSError:
        return "is missing"
    if stat.st_size != size:
        return f"has {stat.st_size:,} bytes where {size:,} were written"
    if (thorough or stat.st_mtime_ns != changed) and sha256_file(path) != checksum:
        return "was replaced or damaged: its checksum differs"
    return None


def whole_problem(root: Place, receipt: Receipt) -> str | None:
    """The same to the last byte, with the log of a Delta table: whether content can be restored as it was."""
    found = problem(root, receipt, thorough=True)
    return found if found or receipt.version is None else log_problem(root / receipt.path, receipt.version)


def open_table(root: Place, receipt: Receipt, rebuild: str) -> Opened:
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


def path_of(root: Place, receipt: Receipt) -> Path:
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
        fetch(path, here, None)  # whether it is as written, its fingerprint has told
        return here
    manifest = read_manifest(path, manifest_key(receipt))
    assert manifest is not None  # noqa: S101  # problem() has read it
    return on_this_machine(path, manifest)


def on_this_machine(folder: Place, manifest: Manifest) -> Path:
    """The folder of a version's files: the content's own, or of a remote one a copy that is checked as it comes."""
    if isinstance(folder, Path):
        return folder
    here = CACHE / sha256(f"{folder} {manifest.text()}")[:16] / folder.name
    missing = [
        (folder / name, here / name, checksum)
        for name, (size, _, checksum) in manifest.files.items()
        if not (here / name).is_file() or (here / name).stat().st_size != size
    ]
    side_by_side(fetch, missing)
    return here


def log_problem(folder: Place, version: int) -> str | None:
    """Why the Delta log does not name the files that the manifest of that version does; None if it does."""
    manifest = read_manifest(folder, version)
    if manifest is None:
        return f"{folder} no longer holds version {version}"
    unreadable = log_damage(folder, version)
    if unreadable:
        return unreadable
    if log_files(folder, version) != set(manifest.files):
        return f"the Delta log of {folder} names other files at version {version} than were written"
    return None


def log_damage(folder: Place, version: int) -> str | None:
    """Why a Delta log cannot be read at a version; None if it can."""
    lost = checkpoint_problem(folder / "_delta_log")
    if lost:
        return f"the Delta log of {folder} is damaged: {lost}"
    try:
        log_files(folder, version)
    except RecoError:
        raise
    except Exception as error:  # delta-rs raises its own kinds for each damage of a log
        return f"the Delta log of {folder} cannot be read at version {version}: {first_line(error)}"
    return None


def first_line(error: Exception) -> str:
    """What delta-rs says, without the stack of its own that it adds."""
    return str(error).partition("\n")[0]


def checkpoint_problem(log: Place) -> str | None:
    """Why `_last_checkpoint`, from which readers start, leads to nothing; None where there is none, or all is well."""
    pointer = log / "_last_checkpoint"
    if not pointer.is_file():
        return None
    try:
        version = int(json.loads(pointer.read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError):
        return f"{pointer} is not readable"
    if not any(log.glob(f"{version:020d}.checkpoint*")):
        return f"{pointer} names the checkpoint of version {version}, which is missing"
    return None


def log_files(folder: Place, version: int) -> set[str]:
    from deltalake import DeltaTable  # noqa: PLC0415  # 0.3 s that only opening needs

    actions = pa.table(answered(folder, lambda: DeltaTable(str(folder), version=version).get_add_actions()))
    return {unquote(name) for name in actions["path"].to_pylist()}


def log_file(folder: Place, version: int) -> Place:
    return folder / "_delta_log" / f"{version:020d}.json"


def head_version(folder: Place) -> int | None:
    """The newest version in a Delta log; None where there is no table."""
    versions = [int(path.stem) for path in (folder / "_delta_log").glob("*.json") if path.stem.isdigit()]
    return max(versions, default=None)


def content_bytes(root: Place, receipt: Receipt) -> int:
    """The size of what a receipt names, in bytes; 0 where it is not there."""
    path = root / receipt.path
    if path.is_file():
        return path.stat().st_size
    manifest = read_manifest(path, manifest_key(receipt))
    return sum(size for size, _, _ in manifest.files.values()) if manifest else 0


# --- content of single files; keys that hold the time of writing, or what it took, do not count

VOLATILE_KEYS = frozenset({"execution_ts", "generated_ts", "peak_memory_mb", "seconds"})


def file_fingerprint(path: Place) -> str:
    """Sixteen hex digits of a file's content; of a JSON file without the keys that do not count."""
    return content_fingerprint(path.read_bytes(), path.suffix) if path.suffix == ".json" else sha256_file(path)[:16]


def content_fingerprint(content: bytes, suffix: str) -> str:
    """The same of bytes that a file of this suffix holds."""
    if suffix != ".json":
        return hashlib.sha256(content).hexdigest()[:16]
    try:
        body = json.loads(content)
    except ValueError:
        return hashlib.sha256(content).hexdigest()[:16]
    stable = json.dumps(without_volatile(body), sort_keys=True)
    return hashlib.sha256(stable.encode()).hexdigest()[:16]


def holds_file(path: Place, fingerprint: str) -> bool:
    """Whether a file is there with this content."""
    return path.is_file() and file_fingerprint(path) == fingerprint


def without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_volatile(item) for key, item in value.items() if key not in VOLATILE_KEYS}
    return [without_volatile(item) for item in value] if isinstance(value, list) else value


# --- publishing


def staging_folder(target: Place) -> Path:
    """A new, empty staging folder on this machine; what an earlier, killed writer left is removed."""
    clean_up(target)
    staging = staging_name(target)
    staging.mkdir(parents=True)
    return staging


def shared_folder(target: Place) -> Place:
    """A new, empty staging folder that the executors of a cluster see too: on the store of `target`, beside it."""
    clean_up(target)
    folder = staging_name(target) if isinstance(target, Path) else beside(target)
    folder.mkdir(parents=True)
    return folder


def beside(target: HdfsPath) -> HdfsPath:
    return target.with_name(f"{STAGING}-{target.name}")


def staging_name(target: Place) -> Path:
    if isinstance(target, Path):
        return target.parent / f"{STAGING}-{target.name}"
    return CACHE / f"{STAGING}-{sha256(str(target))[:8]}-{target.name}"


def clean_up(target: Place) -> None:
    """Removes what a killed writer of `target` may have left: staging folders and files of no version."""
    shutil.rmtree(staging_name(target), ignore_errors=True)
    if isinstance(target, HdfsPath):
        remove_tree(beside(target))
        if aside(target).exists():
            restore_or_remove(aside(target), target)
    pending = read_manifest(target, PENDING)
    if pending is not None:
        head = head_version(target)
        try:
            committed = log_files(target, head) if head is not None else set()
        except RecoError:
            raise
        except Exception:  # a damaged log names nothing that could be removed safely; publishing will say so
            return
        for name in set(pending.files) - committed:
            (target / name).unlink(missing_ok=True)
        manifest_path(target, PENDING).unlink()


def publish_table(
    staging: Place,
    target: Place,
    *,
    storage_format: str,
    schema: pa.Schema,
    partition_by: Sequence[str],
    fingerprint: str,
    rows: int,
    dataset: str,
) -> int | None:
    """Makes the Parquet files of a staging folder the content of a table.

    Nothing is committed where the table already holds this fingerprint, undamaged to the last byte.

    Args:
        staging: plain Parquet files, hive-partitioned by `partition_by`; gone afterwards.
        target: the table's folder.
        storage_format: delta or parquet.
        schema: all columns, the partition columns included.
        partition_by: names of the partition columns.
        fingerprint: of the content.
        rows: number of rows.
        dataset: name of the data set that it was made from.

    Returns:
        The Delta version that holds the content; None for Parquet.

    Raises:
        TableError: if the folder holds what must not be replaced unasked, or another program wrote at the same time.
    """
    kept = obstacle(target, storage_format, dataset)
    if kept:
        raise TableError(kept, WAYS_OUT)
    if storage_format == "parquet" and isinstance(staging, Path):  # on a remote store the config refuses it
        publish_folder(staging, target, fingerprint=fingerprint, rows=rows, dataset=dataset)
        return None
    head = head_version(target)
    if head is not None and holds(target, head, fingerprint):
        remove_tree(staging)
        return head
    return commit_delta(
        staging, target, schema, partition_by, fingerprint=fingerprint, rows=rows, dataset=dataset
    )  # fmt: skip


WAYS_OUT = "use another lakehouse (--config lakehouse=...), or have it replaced: --config force_overwrite=true"


def foreign(target: Place, storage_format: str, dataset: str) -> str | None:
    """What stands at the path of a table and is none of this data set's in this format; None if nothing does.

    A table of this pipeline is known by its manifests, of which every writer leaves one before anything else, also one
    that is killed then; or by its memo.
    """
    if not target.is_dir():
        return f"{target} is a file, where a table was to be" if target.exists() else None
    if not has_data(target):
        return None
    stems = [path.stem for path in (target / MANIFESTS).glob("*.json")]
    begun = any(stem == PENDING or stem.isdigit() for stem in stems)  # a Delta table, perhaps before its first commit
    found = "delta" if begun or (target / "_delta_log").is_dir() else "parquet"
    if found != storage_format:
        return f"{target} holds a {found} table, and storage_format is {storage_format}"
    keys = manifest_keys(target)
    if not keys:
        own = stems or any((target / MEMO).glob("*.json"))
        return None if own else f"{target} holds a {found} table that this pipeline did not write"
    manifest = read_manifest(target, keys[-1])
    if manifest and manifest.dataset not in ("", dataset):
        return f"{target} holds a table of the data set {manifest.dataset}, and dataset is {dataset}"
    return None


def obstacle(target: Place, storage_format: str, dataset: str) -> str | None:
    """Why a writer cannot add its content to what stands at the path of a table; None if it can."""
    found = foreign(target, storage_format, dataset)
    head = head_version(target) if found is None else None
    return found if head is None else log_damage(target, head)


def make_room(target: Place, storage_format: str, dataset: str) -> None:
    """Removes what stands in the way at the path of a table, with all its versions."""
    if obstacle(target, storage_format, dataset):
        if target.is_dir():
            remove_tree(target)
        else:
            target.unlink()


def has_data(folder: Place) -> bool:
    return (folder / "_delta_log").is_dir() or bool(data_files(folder))


def holds(folder: Place, version: int, fingerprint: str) -> bool:
    """Whether a version of a Delta table is of this fingerprint and undamaged."""
    receipt = Receipt(artifact="", kind="table", path=".", version=version, fingerprint=fingerprint)
    return problem(folder, receipt, thorough=True) is None and log_problem(folder, version) is None


def data_files(folder: Place) -> list[Place]:
    """The data files below a folder, whatever a writer calls its markers left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(("_", ".")) for part in below(path, folder).parts)
    )


def manifest_of(names: Mapping[Place, str], fingerprint: str, rows: int, dataset: str) -> Manifest:
    entries = {}
    for path, name in names.items():
        stat = path.stat()
        entries[name] = (stat.st_size, stat.st_mtime_ns, sha256_file(path))
    return Manifest(fingerprint, rows, entries, dataset)


def commit_delta(
    staging: Place,
    target: Place,
    schema: pa.Schema,
    partition_by: Sequence[str],
    *,
    fingerprint: str,
    rows: int,
    dataset: str,
) -> int:
    """Moves staged files into a Delta table and commits them as its whole new content."""
    from deltalake import CommitProperties, DeltaTable, Schema  # noqa: PLC0415
    from deltalake.exceptions import DeltaError  # noqa: PLC0415
    from deltalake.transaction import create_table_with_add_actions  # noqa: PLC0415

    head = head_version(target)
    version = 0 if head is None else head + 1
    names = {
        path: str(below(path, staging).parent / f"part-{version:05d}-{number:05d}.parquet")
        for number, path in enumerate(data_files(staging))
    }
    manifest = manifest_of(names, fingerprint, rows, dataset)
    actions = [add_action(path, name, manifest.files[name], partition_by) for path, name in names.items()]
    write_text(manifest_path(target, PENDING), manifest.text())
    side_by_side(move, ((path, target / name) for path, name in names.items()))
    write_text(manifest_path(target, version), as_there(manifest, target).text())
    properties = CommitProperties(custom_metadata={"fingerprint": fingerprint, "rows": str(rows)})
    delta_schema = Schema.from_arrow(schema)

    def commit() -> None:
        if head is None:
            create_table_with_add_actions(
                str(target), delta_schema, actions, mode="overwrite", partition_by=list(partition_by),
                commit_properties=properties,
            )  # fmt: skip
        else:
            table = DeltaTable(str(target))
            table.create_write_transaction(
                actions, "overwrite", delta_schema, list(partition_by), commit_properties=properties
            )

    try:
        answered(target, commit)
        between = log_problem(target, version)
    except DeltaError as error:
        found = refused(error)
        if found:
            raise found from error
        between = first_line(error)
    if between:
        raise TableError(f"another program wrote to {target} at the same time: {between}", "run again")
    manifest_path(target, PENDING).unlink()
    remove_tree(staging)
    return version


def as_there(manifest: Manifest, folder: Place) -> Manifest:
    """A manifest with the times of change that the files have in the table: a remote store sets its own."""
    if isinstance(folder, Path):
        return manifest
    entries = {
        name: (size, (folder / name).stat().st_mtime_ns, checksum)
        for name, (size, _, checksum) in manifest.files.items()
    }
    return replace(manifest, files=entries)


def add_action(path: Place, name: str, entry: tuple[int, int, str], partition_by: Sequence[str]) -> Any:
    from deltalake.transaction import AddAction  # noqa: PLC0415

    pairs = dict(part.partition("=")[::2] for part in Path(name).parts[:-1])
    values = {column: None if pairs[column] == PARTITIONING_NULL else unquote(pairs[column]) for column in partition_by}
    size, changed, _ = entry
    return AddAction(name, size, values, changed // 1_000_000, True, json.dumps(file_statistics(path)))


def file_statistics(path: Place) -> dict[str, Any]:
    """Delta's statistics of one Parquet file from its footer: rows, and the range of each whole-number column."""
    footer = pq.read_metadata(readable(path))
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


def publish_folder(staging: Path, target: Place, *, fingerprint: str, rows: int, dataset: str = "") -> None:
    """Puts a staging folder in the place of `target` in one act; the memo of the old one is kept."""
    names = {path: str(below(path, staging)) for path in data_files(staging)}
    for marker in [path for path in staging.rglob("*") if path.is_file() and path not in names]:
        marker.unlink()
    manifest = manifest_of(names, fingerprint, rows, dataset)
    write_text(manifest_path(staging, fingerprint), manifest.text())
    if isinstance(target, HdfsPath):
        publish_there(staging, target, manifest)
        return
    if (target / MEMO).is_dir():
        shutil.copytree(target / MEMO, staging / MEMO, dirs_exist_ok=True)
    if target.exists():
        exchange(staging, target)
        shutil.rmtree(staging)
    else:
        staging.rename(target)


def publish_there(staging: Path, target: HdfsPath, manifest: Manifest) -> None:
    """The same on a remote store: the files are brought beside `target`, and two renames put them in its place.

    HDFS cannot exchange folders; what a writer killed between the two leaves, the next one puts right.
    """
    new = beside(target)
    remove_tree(new)
    side_by_side(move, ((staging / name, new / name) for name in manifest.files))
    write_text(manifest_path(new, manifest.fingerprint), as_there(manifest, new).text())
    old = aside(target)
    if target.exists():
        for path in (target / MEMO).rglob("*"):
            kept = new / MEMO / below(path, target / MEMO)
            kept.parent.mkdir(parents=True, exist_ok=True)
            copy(path, kept)
        target.rename(old)
    new.rename(target)
    remove_tree(old)
    shutil.rmtree(staging)


def aside(target: HdfsPath) -> HdfsPath:
    """Where the old content of a folder lies while the new one takes its place."""
    return target.with_name(f"{STAGING}-{target.name}-old")


def restore_or_remove(old: HdfsPath, target: HdfsPath) -> None:
    """Ends what a killed `publish_there` began: the old content returns, unless the new is in place."""
    if target.exists():
        remove_tree(old)
    else:
        old.rename(target)


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
    between = first.with_name(first.name + "-old")
    second.rename(between)
    first.rename(second)
    between.rename(first)


# --- going back


def restore_head(root: Place, receipt: Receipt) -> None:
    """Makes an older version of a Delta table its newest again, so that other readers see what the receipt says."""
    folder = root / receipt.path
    if receipt.version is None or head_is(folder, receipt):
        return
    from deltalake import DeltaTable  # noqa: PLC0415

    version = receipt.version

    def restored() -> int:
        table = DeltaTable(str(folder))
        table.restore(version)
        return table.version()

    head = answered(folder, restored)
    old = manifest_path(folder, version).read_text(encoding="utf-8")
    write_text(manifest_path(folder, head), old)


def head_is(folder: Place, receipt: Receipt) -> bool:
    """Whether the newest version of a Delta table is the content that a receipt names."""
    head = head_version(folder)
    if head is None or head == receipt.version:
        return head == receipt.version
    manifest = read_manifest(folder, head)
    return manifest is not None and manifest.fingerprint == receipt.fingerprint
