"""Locks that end with their process, however it ends: flock for a local folder, a lease for one of HDFS."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from reco_platform.store.hdfs import HdfsPath, StoreError, check_namenode

LOCK = ".lock"
"""Name of the lock file in the folder that it protects."""


def acquire_lock(folder: Path) -> IO[str] | None:
    """Takes the exclusive lock of a folder, which is created if missing.

    Returns:
        The open lock file, which holds the lock until it is closed; None where another process has the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / LOCK).open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def lock_holder(folder: Path) -> str | None:
    """The id of the process that holds the lock of a folder, or "unknown"; None where it is free."""
    try:
        with (folder / LOCK).open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip() or "unknown"
    except OSError:  # no such folder or no lock file yet
        return None
    return None


@contextmanager
def hdfs_lease(path: HdfsPath) -> Iterator[None]:
    """Keeps a file open for appending, which HDFS grants to one process at a time.

    HDFS gives the file of a process that no longer renews its lease to another after its soft limit of 60 seconds
    (HdfsConstants.LEASE_SOFTLIMIT_PERIOD).

    Raises:
        FileExistsError: another process has the file open.
    """
    if not path.exists():
        path.write_bytes(b"")
    # Not the client's own file object: when it is collected it calls HDFS, which takes minutes where HDFS is down.
    held = path.call(lambda client: client.inner.append(str(path.pure)))
    try:
        yield
    finally:
        with suppress(StoreError, OSError, RuntimeError):
            check_namenode(path)  # not through `call`: a process that is exiting cannot start threads
            held.close()
