"""Tables, models and folders take their place whole or not at all.

Every writer first makes a staging folder of plain Parquet. Publishing it is one atomic act: a commit to the Delta log,
or an exchange of two folders. To a remote store content is brought from a staging folder of this machine.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from reco_platform.core.errors import RecoError, TableError
from reco_platform.core.hashing import sha256
from reco_platform.core.os_limits import resource_error
from reco_platform.lakehouse import delta_log, storage
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.atomic_write import write_text
from reco_platform.store.hdfs import HdfsPath, call_store
from reco_platform.store.paths import (
    StorePath,
    copy_file,
    move_file,
    relative_path,
    remove_tree,
    run_in_parallel,
    sha256_file,
)

STAGING = "_staging"


def staging_folder(target: StorePath) -> Path:
    """A new, empty staging folder on this machine; what an earlier, killed writer left is removed."""
    clean_up(target)
    staging = staging_name(target)
    staging.mkdir(parents=True)
    return staging


def shared_folder(target: StorePath) -> StorePath:
    """A new, empty staging folder that the executors of a cluster see too: on the store of `target`, beside it."""
    clean_up(target)
    folder = staging_name(target) if isinstance(target, Path) else beside(target)
    folder.mkdir(parents=True)
    return folder


def beside(target: HdfsPath) -> HdfsPath:
    return target.with_name(f"{STAGING}-{target.name}")


def staging_name(target: StorePath) -> Path:
    if isinstance(target, Path):
        return target.parent / f"{STAGING}-{target.name}"
    return storage.CACHE / f"{STAGING}-{sha256(str(target))[:8]}-{target.name}"


def clean_up(target: StorePath) -> None:
    """Removes what a killed writer of `target` may have left: staging folders and files of no version."""
    shutil.rmtree(staging_name(target), ignore_errors=True)
    if isinstance(target, HdfsPath):
        remove_tree(beside(target))
        if aside(target).exists():
            restore_or_remove(aside(target), target)
    pending = storage.read_manifest(target, storage.PENDING)
    if pending is not None:
        head = delta_log.head_version(target)
        try:
            committed = delta_log.log_files(target, head) if head is not None else set()
        except RecoError:
            raise
        except Exception:  # a damaged log names nothing that could be removed safely; publishing will say so
            return
        for name in set(pending.files) - committed:
            (target / name).unlink(missing_ok=True)
        storage.manifest_path(target, storage.PENDING).unlink()


def publish_table(
    staging: StorePath,
    target: StorePath,
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
        raise TableError(kept, f"{WAYS_OUT}--config force_overwrite=true")
    if storage_format == "parquet" and isinstance(staging, Path):  # on a remote store the config refuses it
        publish_folder(staging, target, fingerprint=fingerprint, rows=rows, dataset=dataset)
        return None
    head = delta_log.head_version(target)
    if head is not None and holds(target, head, fingerprint):
        remove_tree(staging)
        return head
    return commit_delta(
        staging, target, schema, partition_by, fingerprint=fingerprint, rows=rows, dataset=dataset
    )  # fmt: skip


WAYS_OUT = "use another lakehouse (--config lakehouse=...), or have it replaced: "


def foreign(target: StorePath, storage_format: str, dataset: str) -> str | None:
    """What stands at the path of a table and is none of this data set's in this format; None if nothing does.

    A table of this pipeline is known by its manifests, of which every writer leaves one before anything else, also one
    that is killed then; or by its memo.
    """
    if not target.is_dir():
        return f"{target} is a file, where a table was to be" if target.exists() else None
    if not has_data(target):
        return None
    stems = [path.stem for path in (target / storage.MANIFESTS).glob("*.json")]
    begun = any(stem == storage.PENDING or stem.isdigit() for stem in stems)  # by Delta, perhaps not committed yet
    found = "delta" if begun or (target / "_delta_log").is_dir() else "parquet"
    if found != storage_format:
        return f"{target} holds a {found} table, and storage_format is {storage_format}"
    keys = storage.manifest_keys(target)
    if not keys:
        own = stems or any((target / storage.MEMO).glob("*.json"))
        return None if own else f"{target} holds a {found} table that this pipeline did not write"
    manifest = storage.read_manifest(target, keys[-1])
    if manifest and manifest.dataset not in ("", dataset):
        return f"{target} holds a table of the data set {manifest.dataset}, and dataset is {dataset}"
    return None


def obstacle(target: StorePath, storage_format: str, dataset: str) -> str | None:
    """Why a writer cannot add its content to what stands at the path of a table; None if it can."""
    found = foreign(target, storage_format, dataset)
    head = delta_log.head_version(target) if found is None else None
    return found if head is None else delta_log.log_damage(target, head)


def make_room(target: StorePath, storage_format: str, dataset: str) -> None:
    """Removes what stands in the way at the path of a table, with all its versions."""
    if obstacle(target, storage_format, dataset):
        if target.is_dir():
            remove_tree(target)
        else:
            target.unlink()


def has_data(folder: StorePath) -> bool:
    return any((folder / "_delta_log").glob("*")) or bool(storage.data_files(folder))


def holds(folder: StorePath, version: int, fingerprint: str) -> bool:
    """Whether a version of a Delta table is of this fingerprint and undamaged."""
    receipt = Receipt(artifact="", kind="table", path=".", version=version, fingerprint=fingerprint)
    return storage.problem(folder, receipt, thorough=True) is None and storage.log_problem(folder, version) is None


def manifest_of(names: Mapping[StorePath, str], fingerprint: str, rows: int, dataset: str) -> storage.Manifest:
    entries = {}
    for path, name in names.items():
        stat = path.stat()
        entries[name] = (stat.st_size, stat.st_mtime_ns, sha256_file(path))
    return storage.Manifest(fingerprint, rows, entries, dataset)


def commit_delta(
    staging: StorePath,
    target: StorePath,
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

    head = delta_log.head_version(target)
    version = 0 if head is None else head + 1
    names = {
        path: str(relative_path(path, staging).parent / f"part-{version:05d}-{number:05d}.parquet")
        for number, path in enumerate(storage.data_files(staging))
    }
    manifest = manifest_of(names, fingerprint, rows, dataset)
    actions = [delta_log.add_action(path, name, manifest.files[name], partition_by) for path, name in names.items()]
    write_text(storage.manifest_path(target, storage.PENDING), manifest.text())
    run_in_parallel(move_file, ((path, target / name) for path, name in names.items()))
    write_text(storage.manifest_path(target, version), as_there(manifest, target).text())
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
        call_store(target, commit)
        between = storage.log_problem(target, version)
    except DeltaError as error:
        found = resource_error(error)
        if found:
            raise found from error
        between = delta_log.first_line(error)
    if between:
        raise TableError(f"another program wrote to {target} at the same time: {between}", "run again")
    storage.manifest_path(target, storage.PENDING).unlink()
    remove_tree(staging)
    return version


def as_there(manifest: storage.Manifest, folder: StorePath) -> storage.Manifest:
    """A manifest with the times of change that the files have in the table: a remote store sets its own."""
    if isinstance(folder, Path):
        return manifest
    entries = {
        name: (size, (folder / name).stat().st_mtime_ns, checksum)
        for name, (size, _, checksum) in manifest.files.items()
    }
    return replace(manifest, files=entries)


def publish_folder(staging: Path, target: StorePath, *, fingerprint: str, rows: int, dataset: str = "") -> None:
    """Puts a staging folder in the place of `target` in one act; the memo of the old one is kept."""
    names = {path: str(relative_path(path, staging)) for path in storage.data_files(staging)}
    for marker in [path for path in staging.rglob("*") if path.is_file() and path not in names]:
        marker.unlink()
    manifest = manifest_of(names, fingerprint, rows, dataset)
    write_text(storage.manifest_path(staging, fingerprint), manifest.text())
    if isinstance(target, HdfsPath):
        publish_there(staging, target, manifest)
        return
    if (target / storage.MEMO).is_dir():
        shutil.copytree(target / storage.MEMO, staging / storage.MEMO, dirs_exist_ok=True)
    if target.exists():
        exchange(staging, target)
        shutil.rmtree(staging)
    else:
        staging.rename(target)


def publish_there(staging: Path, target: HdfsPath, manifest: storage.Manifest) -> None:
    """The same on a remote store: the files are brought beside `target`, and two renames put them in its place.

    HDFS cannot exchange folders; what a writer killed between the two leaves, the next one puts right.
    """
    new = beside(target)
    remove_tree(new)
    run_in_parallel(move_file, ((staging / name, new / name) for name in manifest.files))
    write_text(storage.manifest_path(new, manifest.fingerprint), as_there(manifest, new).text())
    old = aside(target)
    if target.exists():
        for path in (target / storage.MEMO).rglob("*"):
            kept = new / storage.MEMO / relative_path(path, target / storage.MEMO)
            kept.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, kept)
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


def restore_head(root: StorePath, receipt: Receipt) -> None:
    """Makes an older version of a Delta table its newest again, so that other readers see what the receipt says."""
    folder = root / receipt.path
    if receipt.version is None or storage.head_is(folder, receipt):
        return
    from deltalake import DeltaTable  # noqa: PLC0415

    version = receipt.version

    def restored() -> int:
        table = DeltaTable(str(folder))
        table.restore(version)
        return table.version()

    head = call_store(folder, restored)
    old = storage.manifest_path(folder, version).read_text(encoding="utf-8")
    write_text(storage.manifest_path(folder, head), old)
