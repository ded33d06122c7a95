"""Paths of HDFS with pathlib's interface, and calls that fail within seconds when the NameNode is down."""

from __future__ import annotations

import functools
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from reco_platform.core.errors import RecoError
from reco_platform.core.network import connection_error

if TYPE_CHECKING:
    from hdfs_native import Client

SCHEME = "hdfs://"
CHECK_SECONDS = 3.0  # how long a call may take before, and between, checks that the NameNode still answers
CONNECT_SECONDS = 5.0
DIRECTORY_MODE = 0o755

T = TypeVar("T")


class StoreError(RecoError):
    """A remote store that does not answer, or that refuses an operation."""


@dataclass(frozen=True)
class FileStat:
    """Size in bytes and modification time in nanoseconds, under the names of os.stat_result."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, order=True)
class HdfsPath:
    """A path of HDFS with the part of pathlib's interface that a lakehouse needs.

    Args:
        authority: `host:port` of the NameNode, or the name of a service that HADOOP_CONF_DIR describes.
        pure: the absolute path there.
    """

    authority: str
    pure: PurePosixPath

    def __str__(self) -> str:
        return f"{SCHEME}{self.authority}{self.pure}"

    def as_uri(self) -> str:
        return str(self)

    def absolute(self) -> HdfsPath:
        return self

    def __truediv__(self, other: str | PurePath) -> HdfsPath:
        return HdfsPath(self.authority, self.pure / other)

    @property
    def name(self) -> str:
        return self.pure.name

    @property
    def stem(self) -> str:
        return self.pure.stem

    @property
    def suffix(self) -> str:
        return self.pure.suffix

    @property
    def parent(self) -> HdfsPath:
        return HdfsPath(self.authority, self.pure.parent)

    def with_name(self, name: str) -> HdfsPath:
        return HdfsPath(self.authority, self.pure.with_name(name))

    def with_suffix(self, suffix: str) -> HdfsPath:
        return HdfsPath(self.authority, self.pure.with_suffix(suffix))

    def relative_to(self, other: HdfsPath) -> PurePosixPath:
        return self.pure.relative_to(other.pure)

    # --- status and listing

    def exists(self) -> bool:
        return self._status() is not None

    def is_file(self) -> bool:
        status = self._status()
        return status is not None and not status.isdir

    def is_dir(self) -> bool:
        status = self._status()
        return status is not None and bool(status.isdir)

    def stat(self) -> FileStat:
        status = self.call(lambda client: client.get_file_info(str(self.pure)))
        return FileStat(status.length, status.modification_time * 1_000_000)

    def iterdir(self) -> Iterator[HdfsPath]:
        return iter(self._list(recursive=False))

    def rglob(self, pattern: str) -> Iterator[HdfsPath]:
        return self._matching(pattern, recursive=True)

    def glob(self, pattern: str) -> Iterator[HdfsPath]:
        return self._matching(pattern, recursive=False)

    # --- content

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Opens a file for reading, or (mode "wb") for writing, which replaces an existing one."""
        if mode == "rb":
            return cast("IO[bytes]", self.call(lambda client: client.read(str(self.pure))))
        if mode == "wb":
            return cast("IO[bytes]", self.call(lambda client: client.create(str(self.pure), _overwrite())))
        raise ValueError(f"mode {mode!r}: must be rb or wb")

    def read_bytes(self) -> bytes:
        return self.call(lambda client: bytes(client.read(str(self.pure)).read(-1)))

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Writes a file atomically and creates its folder."""
        temporary = self.with_name(f".{self.name}.{secrets.token_hex(6)}.tmp")

        def write(client: Client) -> None:
            client.mkdirs(str(self.parent.pure), DIRECTORY_MODE, True)
            with client.create(str(temporary.pure), _overwrite()) as file:
                file.write(content)
            client.rename(str(temporary.pure), str(self.pure), True)

        self.call(write)

    # --- changes

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        if not exist_ok and self.exists():
            raise FileExistsError(str(self))
        self.call(lambda client: client.mkdirs(str(self.pure), DIRECTORY_MODE, parents))

    def rename(self, target: HdfsPath) -> HdfsPath:
        self.call(lambda client: client.rename(str(self.pure), str(target.pure), False))
        return target

    def replace(self, target: HdfsPath) -> HdfsPath:
        self.call(lambda client: client.rename(str(self.pure), str(target.pure), True))
        return target

    def unlink(self, *, missing_ok: bool = False) -> None:
        if not self.call(lambda client: client.delete(str(self.pure), False)) and not missing_ok:
            raise FileNotFoundError(str(self))

    def remove_tree(self) -> None:
        """Removes a folder with its content, or a file; does nothing where neither exists."""
        self.call(lambda client: client.delete(str(self.pure), True))

    # --- the client

    def call(self, operation: Callable[[Client], T]) -> T:
        """Runs an operation of HDFS's client on this path's NameNode. Raises StoreError as `call_store` does."""
        return call_store(self, lambda: operation(_client(self.authority)))

    def _status(self) -> Any:
        try:
            return self.call(lambda client: client.get_file_info(str(self.pure)))
        except FileNotFoundError:
            return None

    def _list(self, *, recursive: bool) -> list[HdfsPath]:
        found = self.call(lambda client: list(client.list_status(str(self.pure), recursive)))
        return sorted(HdfsPath(self.authority, PurePosixPath(status.path)) for status in found)

    def _matching(self, pattern: str, *, recursive: bool) -> Iterator[HdfsPath]:
        try:
            found = self._list(recursive=recursive)
        except FileNotFoundError:
            return iter(())
        return (path for path in found if path.pure.match(pattern))


@functools.cache
def _client(authority: str) -> Client:
    from hdfs_native import Client  # noqa: PLC0415  # only needed where the lakehouse is remote

    return Client(f"{SCHEME}{authority}")


def _overwrite() -> Any:
    from hdfs_native import WriteOptions  # noqa: PLC0415

    return WriteOptions(overwrite=True)


def call_store(path: Path | HdfsPath, operation: Callable[[], T]) -> T:
    """Runs an operation on a store, and gives up when the NameNode is down, which HDFS's clients report after minutes.

    Args:
        path: what the operation works on; for a local path the operation is simply called.
        operation: runs in a thread of its own.

    Returns:
        The operation's result.

    Raises:
        StoreError: the NameNode accepts no connection, or HDFS refuses the operation.
    """
    if isinstance(path, Path):
        return operation()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(operation())
        except BaseException as error:  # raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    while thread.is_alive():
        check_namenode(path)
        thread.join(CHECK_SECONDS)
    if errors:
        _raise_from(path, errors[0])
    return results[0]


def check_namenode(path: HdfsPath) -> None:
    """Checks that the NameNode accepts connections. Does nothing for a named service, whose hosts only HDFS knows.

    Raises:
        StoreError: the NameNode does not accept a connection.
    """
    host, _, port = path.authority.partition(":")
    if not port:
        return
    reason = connection_error(host, int(port), CONNECT_SECONDS)
    if reason:
        raise StoreError(
            f"{SCHEME}{path.authority} does not answer: {reason}",
            "check that its NameNode is running (hdfs dfsadmin -report), then run the same command again: finished "
            "results are kept",
        )


def _raise_from(path: HdfsPath, error: BaseException) -> None:
    """Raises errors about a path and interrupts as they are, and others as StoreError."""
    if isinstance(error, FileNotFoundError | FileExistsError | RecoError) or not isinstance(error, Exception):
        raise error
    check_namenode(path)
    if isinstance(error, OSError | RuntimeError):
        raise StoreError(
            f"{path}: HDFS reports: {hdfs_message(error)}", "correct the cause, then run the same command again"
        ) from error
    raise error


def hdfs_message(error: BaseException) -> str:
    """The message of an error of HDFS without Java's stack trace."""
    text = str(error).replace("\\n", "\n").replace("\\t", "\t").partition("\n")[0]
    return re.sub(r'^RPCError\("[\w.$]+", "', "", text)
