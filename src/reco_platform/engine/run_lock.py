"""The lock of a lakehouse: one run at a time, on this machine and, for a lakehouse on HDFS, across machines."""

from __future__ import annotations

from contextlib import ExitStack
from typing import IO

from reco_platform.core.errors import TableError
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.store.hdfs import HdfsPath, StoreError, hdfs_message
from reco_platform.store.locks import LOCK, acquire_lock, hdfs_lease, lock_holder


def lock_lakehouse(lakehouse: Lakehouse) -> IO[str]:
    """Acquires the lock of a lakehouse on this machine; closing the returned file releases it.

    Raises:
        TableError: if another process holds it, or the folder cannot be written.
    """
    try:
        lock = acquire_lock(lakehouse.records)
    except OSError as error:
        message = f"lakehouse {lakehouse.records} cannot be written: {error.strerror}"
        raise TableError(message, "choose a folder with write permission") from error
    if lock is None:
        message = f"another run holds {lakehouse.root} (process {lock_holder(lakehouse.records)})"
        raise TableError(message, "wait for it to end, then run again")
    return lock


def lock_run(lakehouse: Lakehouse) -> ExitStack:
    """Acquires all locks of a run; they are held until the stack is closed or the process exits.

    Raises:
        TableError: if another process on this machine holds the lock.
        StoreError: if a process on another machine holds it.
    """
    with ExitStack() as held:
        held.enter_context(lock_lakehouse(lakehouse))
        if isinstance(lakehouse.path, HdfsPath):
            acquire_hdfs_lock(lakehouse.path, held)
        return held.pop_all()


def acquire_hdfs_lock(root: HdfsPath, held: ExitStack) -> None:
    try:
        held.enter_context(hdfs_lease(root / LOCK))
    except FileExistsError as error:
        raise StoreError(
            f"another run holds {root}: HDFS reports: {hdfs_message(error)}",
            "wait for it to end, then run again; HDFS keeps the lock of a killed run for a minute",
        ) from error
