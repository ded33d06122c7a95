"""Publish tables, models and folders atomically: readers see the old content or the new one, never a part.

Every writer first fills a staging folder with plain Parquet files. Publishing is one atomic operation: a commit to the
Delta log, or a swap of two folders. Content of a remote lakehouse is staged on this machine and then copied.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from reco_platform.core.errors import RecoError, TableError
from reco_platform.core.hashing import sha256
from reco_platform.core.os_limits import resource_error
from reco_platform.lakehouse import delta_log, tables
from reco_platform.lakehouse.manifests import (
    MANIFESTS,
    MEMO,
    PENDING,
    Manifest,
    build_manifest,
    manifest_keys,
    manifest_path,
    read_manifest,
    with_stored_times,
)
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.atomic_write import write_text
from reco_platform.store.hdfs import HdfsPath, call_store
from reco_platform.store.paths import StorePath, copy_file, move_file, relative_path, remove_tree, run_in_parallel

STAGING = "_staging"
"""Prefix of the names of staging folders."""

PREVIOUS = "_previous"
"""Prefix of the name of a folder's old content while new content takes its place. Recovery must not remove it as it
removes staging folders: after a kill at that moment it is the only content."""

OVERWRITE_HINT = "use another lakehouse (--config lakehouse=...), or replace it: "

RENAME_EXCHANGE = 2  # linux/fs.h
AT_FDCWD = -100


# --- staging


def create_staging_folder(target: StorePath) -> Path:
    """Creates an empty staging folder on this machine, and removes what a killed writer has left."""
    remove_leftovers(target)
    staging = local_staging_folder(target)
    staging.mkdir(parents=True)
    return staging


def create_shared_staging_folder(target: StorePath) -> StorePath:
    """Creates an empty staging folder on the store of `target`, which a cluster's executors see too."""
    remove_leftovers(target)
    folder = local_staging_folder(target) if isinstance(target, Path) else remote_staging_folder(target)
    folder.mkdir(parents=True)
    return folder


def local_staging_folder(target: StorePath) -> Path:
    if isinstance(target, Path):
        return target.parent / f"{STAGING}-{target.name}"
    return tables.CACHE / f"{STAGING}-{sha256(str(target))[:8]}-{target.name}"


def remote_staging_folder(target: HdfsPath) -> HdfsPath:
    return target.with_name(f"{STAGING}-{target.name}")


def previous_name(target: StorePath) -> str:
    """The name of a folder's old content while the new content takes its place."""
    return f"{PREVIOUS}-{target.name}"


def remove_leftovers(target: StorePath) -> None:
    """Removes what a killed writer of `target` may have left: staging folders, and files of no committed version."""
    shutil.rmtree(local_staging_folder(target), ignore_errors=True)
    if isinstance(target, HdfsPath):
        remove_tree(remote_staging_folder(target))
    finish_swap(target)
    pending = read_manifest(target, PENDING)
    if pending is not None:
        head = delta_log.head_version(target)
        try:
            committed = delta_log.log_files(target, head) if head is not None else set()
        except RecoError:
            raise
        except Exception:  # with a damaged log nothing can be removed safely; publishing will report the damage
            return
        for name in set(pending.files) - committed:
            (target / name).unlink(missing_ok=True)
        manifest_path(target, PENDING).unlink()


def finish_swap(target: StorePath) -> None:
    """Completes a folder swap whose writer was killed: restores the old content, unless the new one is in place."""
    old: Any = target.with_name(previous_name(target))
    if not old.exists():
        return
    if target.exists():
        remove_tree(old)
    else:
        old.rename(target)


# --- content that is not this data set's


def foreign_content(target: StorePath, storage_format: str, dataset: str) -> str | None:
    """A message if a table's path contains anything but this data set's table in this format; None if not.

    Tables of this pipeline have manifests, or a memo. A writer creates a manifest before anything else, so even a
    killed writer leaves one.
    """
    if not target.is_dir():
        return f"{target} is a file, but a table is expected there" if target.exists() else None
    if not has_data(target):
        return None
    stems = [path.stem for path in (target / MANIFESTS).glob("*.json")]
    begun = any(stem == PENDING or stem.isdigit() for stem in stems)  # a Delta table, perhaps not committed yet
    found = "delta" if begun or (target / "_delta_log").is_dir() else "parquet"
    if found != storage_format:
        return f"{target} contains a {found} table, but storage_format is {storage_format}"
    keys = manifest_keys(target)
    if not keys:
        own = stems or any((target / MEMO).glob("*.json"))
        return None if own else f"{target} contains a {found} table that this pipeline did not write"
    manifest = read_manifest(target, keys[-1])
    if manifest and manifest.dataset not in ("", dataset):
        return f"{target} contains a table of the data set {manifest.dataset}, but dataset is {dataset}"
    return None


def publish_problem(target: StorePath, storage_format: str, dataset: str) -> str | None:
    """Why a writer must not add a version at a table's path; None if it may."""
    found = foreign_content(target, storage_format, dataset)
    head = delta_log.head_version(target) if found is None else None
    return found if head is None else delta_log.log_damage(target, head)


def remove_foreign_content(target: StorePath, storage_format: str, dataset: str) -> None:
    """Removes what prevents publishing at a table's path, with all its versions."""
    if publish_problem(target, storage_format, dataset):
        if target.is_dir():
            remove_tree(target)
        else:
            target.unlink()


def has_data(folder: StorePath) -> bool:
    return any((folder / "_delta_log").glob("*")) or bool(tables.data_files(folder))


# --- tables


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

    Commits nothing if the newest version already has this fingerprint and is intact.

    Args:
        staging: plain Parquet files, hive-partitioned by `partition_by`; it is removed.
        target: the table's folder.
        storage_format: delta or parquet.
        schema: all columns, with the partition columns.
        partition_by: names of the partition columns.
        fingerprint: of the content.
        rows: number of rows.
        dataset: name of the data set that it was made from.

    Returns:
        The Delta version with the content; None for Parquet.

    Raises:
        TableError: the folder contains something that may not be replaced, or another program wrote to it meanwhile.
    """
    found = publish_problem(target, storage_format, dataset)
    if found:
        raise TableError(found, f"{OVERWRITE_HINT}--config force_overwrite=true")
    if storage_format == "parquet" and isinstance(staging, Path):  # the configuration allows Parquet only locally
        publish_folder(staging, target, fingerprint=fingerprint, rows=rows, dataset=dataset)
        return None
    head = delta_log.head_version(target)
    if head is not None and version_is_intact(target, head, fingerprint):
        remove_tree(staging)
        return head
    return commit_delta(
        staging, target, schema, partition_by, fingerprint=fingerprint, rows=rows, dataset=dataset
    )  # fmt: skip


def version_is_intact(folder: StorePath, version: int, fingerprint: str) -> bool:
    """Whether a version of a Delta table has this fingerprint and no damage."""
    receipt = Receipt(artifact="", kind="table", path=".", version=version, fingerprint=fingerprint)
    return tables.restore_problem(folder, receipt) is None


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
    """Moves staged files into a Delta table and commits them as a version that replaces the whole content.

    Returns:
        The new version.

    Raises:
        TableError: another program wrote to the table meanwhile.
    """
    from deltalake import CommitProperties, DeltaTable, Schema  # noqa: PLC0415
    from deltalake.exceptions import DeltaError  # noqa: PLC0415
    from deltalake.transaction import create_table_with_add_actions  # noqa: PLC0415

    head = delta_log.head_version(target)
    version = 0 if head is None else head + 1
    names = {
        path: str(relative_path(path, staging).parent / f"part-{version:05d}-{number:05d}.parquet")
        for number, path in enumerate(tables.data_files(staging))
    }
    manifest = build_manifest(names, fingerprint, rows, dataset)
    actions = [delta_log.add_action(path, name, manifest.files[name], partition_by) for path, name in names.items()]
    write_text(manifest_path(target, PENDING), manifest.text())
    run_in_parallel(move_file, ((path, target / name) for path, name in names.items()))
    write_text(manifest_path(target, version), with_stored_times(manifest, target).text())
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
        conflict = tables.log_problem(target, version)
    except DeltaError as error:
        found = resource_error(error)
        if found:
            raise found from error
        conflict = delta_log.first_line(error)
    if conflict:
        raise TableError(f"another program wrote to {target} at the same time: {conflict}", "run again")
    manifest_path(target, PENDING).unlink()
    remove_tree(staging)
    return version


def restore_head(root: StorePath, receipt: Receipt) -> None:
    """Makes an older version of a Delta table the newest again, so that other readers see what the receipt names."""
    folder = root / receipt.path
    if receipt.version is None or tables.is_head(folder, receipt):
        return
    from deltalake import DeltaTable  # noqa: PLC0415

    version = receipt.version

    def restore() -> int:
        table = DeltaTable(str(folder))
        table.restore(version)
        return table.version()

    head = call_store(folder, restore)
    manifest = manifest_path(folder, version).read_text(encoding="utf-8")
    write_text(manifest_path(folder, head), manifest)


# --- folders


def publish_folder(staging: Path, target: StorePath, *, fingerprint: str, rows: int, dataset: str = "") -> None:
    """Replaces `target` by a staging folder in one operation; the memo of the old content is kept.

    Args:
        staging: the new content; it is removed.
        target: the folder to replace.
        fingerprint: of the content.
        rows: number of rows.
        dataset: name of the data set.
    """
    names = {path: str(relative_path(path, staging)) for path in tables.data_files(staging)}
    for marker in [path for path in staging.rglob("*") if path.is_file() and path not in names]:
        marker.unlink()
    manifest = build_manifest(names, fingerprint, rows, dataset)
    write_text(manifest_path(staging, fingerprint), manifest.text())
    if isinstance(target, HdfsPath):
        publish_remote_folder(staging, target, manifest)
        return
    if (target / MEMO).is_dir():
        shutil.copytree(target / MEMO, staging / MEMO, dirs_exist_ok=True)
    if target.exists():
        swap_folders(staging, target)
        shutil.rmtree(staging)
    else:
        staging.rename(target)


def publish_remote_folder(staging: Path, target: HdfsPath, manifest: Manifest) -> None:
    """Copies the files to a folder beside `target`, then replaces `target` by two renames.

    HDFS cannot swap folders; if a writer is killed between the renames, `finish_swap` completes them.
    """
    new = remote_staging_folder(target)
    remove_tree(new)
    run_in_parallel(move_file, ((staging / name, new / name) for name in manifest.files))
    write_text(manifest_path(new, manifest.fingerprint), with_stored_times(manifest, new).text())
    old = target.with_name(previous_name(target))
    if target.exists():
        for path in (target / MEMO).rglob("*"):
            kept = new / MEMO / relative_path(path, target / MEMO)
            kept.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, kept)
        target.rename(old)
    new.rename(target)
    remove_tree(old)
    shutil.rmtree(staging)


def swap_folders(first: Path, second: Path) -> None:
    """Swaps two folders, atomically where the system can (renameat2), otherwise by three renames.

    Raises:
        OSError: the system refuses the swap.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        arguments = (AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE)
        if libc.renameat2(*arguments) == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(second))
    between = second.with_name(previous_name(second))
    second.rename(between)
    first.rename(second)
    between.rename(first)
