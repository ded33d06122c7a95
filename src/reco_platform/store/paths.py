"""Store paths: a folder on this machine or on HDFS, and the file operations that work on both."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeAlias

from reco_platform.core import project
from reco_platform.store.hdfs import SCHEME, HdfsPath, StoreError, call_store

StorePath: TypeAlias = Path | HdfsPath

CHUNK_BYTES = 8 << 20
PARALLEL_FILES = 16


def store_path(root: str) -> StorePath:
    """The path that a config value names: a local path, or hdfs://host:port/path."""
    if not is_remote(root):
        return Path(root)
    authority, _, path = root.removeprefix(SCHEME).partition("/")
    return HdfsPath(authority, PurePosixPath("/" + path))


def is_remote(root: str) -> bool:
    return "://" in root


def relative_path(path: StorePath, folder: StorePath) -> PurePath:
    """A path relative to a folder of the same store."""
    return path.relative_to(folder)  # type: ignore[arg-type]


# --- copying, moving, removing


def remove_tree(folder: StorePath) -> None:
    """Removes a folder with its content, or a file; does nothing where neither exists."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.remove_tree()


def move_file(source: StorePath, target: StorePath) -> None:
    """Moves a file and creates the target's folder; between two stores the file is copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, Path) and isinstance(target, Path):
        source.rename(target)
    elif isinstance(source, HdfsPath) and isinstance(target, HdfsPath):
        source.replace(target)
    else:
        copy_file(source, target)
        source.unlink()


def copy_file(source: StorePath, target: StorePath) -> str:
    """Copies a file and returns the sha256 of its content, in lower-case hex."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for chunk in read_chunks(source):
            digest.update(chunk)
            call_store(target, functools.partial(file.write, chunk))
    return digest.hexdigest()


def copy_to_local(source: HdfsPath, target: Path, checksum: str | None) -> None:
    """Copies a remote file to this machine atomically.

    Args:
        source: the remote file.
        target: the local file; its folder is created.
        checksum: the expected sha256; None checks nothing.

    Raises:
        StoreError: the content does not have that sha256.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        found = copy_file(source, temporary)
        if checksum is not None and found != checksum:
            raise StoreError(
                f"{source} has sha256 {found}, but its manifest lists {checksum}",
                project.command("validate", "--deep"),
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def run_in_parallel(operation: Callable[..., object], calls: Iterable[tuple[object, ...]]) -> None:
    """Calls an operation for many files in threads, because HDFS takes up to half a second to close each file.

    Args:
        operation: what to call.
        calls: the arguments of each call.
    """
    with ThreadPoolExecutor(PARALLEL_FILES) as pool:
        for future in [pool.submit(operation, *arguments) for arguments in calls]:
            future.result()


# --- reading and writing


def read_chunks(path: StorePath) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := call_store(path, functools.partial(file.read, CHUNK_BYTES)):
            yield chunk


def sha256_file(path: StorePath) -> str:
    """The sha256 of a file in lower-case hex."""
    if isinstance(path, Path):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for chunk in read_chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def arrow_source(path: StorePath) -> Any:
    """What pyarrow reads a file from: a local path, or an open file of HDFS."""
    return path if isinstance(path, Path) else path.open("rb")


@contextmanager
def arrow_sink(path: StorePath) -> Iterator[Any]:
    """What pyarrow writes a file to: a local path, or an open file of HDFS."""
    if isinstance(path, Path):
        yield path
    else:
        with path.open("wb") as file:
            yield file
