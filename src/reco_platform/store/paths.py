"""Where content lies: a folder of this machine, or one of HDFS. Both answer to the same few calls."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from reco_platform.core.errors import RecoError
from reco_platform.core.network import silence

if TYPE_CHECKING:
    from hdfs_native import Client

SCHEME = "hdfs://"
CHUNK = 8 << 20  # bytes
LOOK_EVERY = 3.0  # seconds after which a silent store is looked at
AT_ONCE = 16  # files that are brought to a store, or from it, side by side
CONNECT = 5.0  # seconds that a NameNode may take to accept a connection

T = TypeVar("T")


class StoreError(RecoError):
    """A remote store that does not answer, or refuses."""


@dataclass(frozen=True)
class Stat:
    """What of a file's status is asked, under the names of os.stat_result."""

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

    # --- looking

    def exists(self) -> bool:
        return self._status() is not None

    def is_file(self) -> bool:
        status = self._status()
        return status is not None and not status.isdir

    def is_dir(self) -> bool:
        status = self._status()
        return status is not None and bool(status.isdir)

    def stat(self) -> Stat:
        status = self._ask(lambda client: client.get_file_info(str(self.pure)))
        return Stat(status.length, status.modification_time * 1_000_000)

    def iterdir(self) -> Iterator[HdfsPath]:
        return iter(self._list(recursive=False))

    def rglob(self, pattern: str) -> Iterator[HdfsPath]:
        return self._matching(pattern, recursive=True)

    def glob(self, pattern: str) -> Iterator[HdfsPath]:
        return self._matching(pattern, recursive=False)

    # --- content

    def open(self, mode: str = "rb") -> IO[bytes]:
        """A file to read, or to write (mode "wb"), which replaces one that is there."""
        if mode == "rb":
            return cast("IO[bytes]", self._ask(lambda client: client.read(str(self.pure))))
        if mode == "wb":
            return cast("IO[bytes]", self._ask(lambda client: client.create(str(self.pure), _overwrite())))
        raise ValueError(f"mode {mode!r}: only rb and wb are known")

    def read_bytes(self) -> bytes:
        return self._ask(lambda client: bytes(client.read(str(self.pure)).read(-1)))

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Writes a file whole or not at all."""
        temporary = self.with_name(f".{self.name}.{secrets.token_hex(6)}.tmp")

        def write(client: Client) -> None:
            client.mkdirs(str(self.parent.pure), DIRECTORY_MODE, True)
            with client.create(str(temporary.pure), _overwrite()) as file:
                file.write(content)
            client.rename(str(temporary.pure), str(self.pure), True)

        self._ask(write)

    # --- changing

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        if not exist_ok and self.exists():
            raise FileExistsError(str(self))
        self._ask(lambda client: client.mkdirs(str(self.pure), DIRECTORY_MODE, parents))

    def rename(self, target: HdfsPath) -> HdfsPath:
        self._ask(lambda client: client.rename(str(self.pure), str(target.pure), False))
        return target

    def replace(self, target: HdfsPath) -> HdfsPath:
        self._ask(lambda client: client.rename(str(self.pure), str(target.pure), True))
        return target

    def unlink(self, *, missing_ok: bool = False) -> None:
        if not self._ask(lambda client: client.delete(str(self.pure), False)) and not missing_ok:
            raise FileNotFoundError(str(self))

    # --- the client

    def _status(self) -> Any:
        try:
            return self._ask(lambda client: client.get_file_info(str(self.pure)))
        except FileNotFoundError:
            return None

    def _list(self, *, recursive: bool) -> list[HdfsPath]:
        found = self._ask(lambda client: list(client.list_status(str(self.pure), recursive)))
        return sorted(HdfsPath(self.authority, PurePosixPath(status.path)) for status in found)

    def _matching(self, pattern: str, *, recursive: bool) -> Iterator[HdfsPath]:
        try:
            found = self._list(recursive=recursive)
        except FileNotFoundError:
            return iter(())
        return (path for path in found if path.pure.match(pattern))

    def _ask(self, work: Callable[[Client], T]) -> T:
        return answered(self, lambda: work(_client(self.authority)))


StorePath: TypeAlias = Path | HdfsPath
DIRECTORY_MODE = 0o755


@functools.cache
def _client(authority: str) -> Client:
    from hdfs_native import Client  # noqa: PLC0415  # only where the lakehouse is remote

    return Client(f"{SCHEME}{authority}")


def _overwrite() -> Any:
    from hdfs_native import WriteOptions  # noqa: PLC0415

    return WriteOptions(overwrite=True)


def store_path(root: str) -> StorePath:
    """The path of a lakehouse's root, on this machine or on HDFS.

    Args:
        root: a path of this machine, or hdfs://host:port/path.
    """
    if not is_remote(root):
        return Path(root)
    authority, _, path = root.removeprefix(SCHEME).partition("/")
    return HdfsPath(authority, PurePosixPath("/" + path))


def is_remote(root: str) -> bool:
    return "://" in root


# --- a store that may be away


def answered(where: StorePath, work: Callable[[], T]) -> T:
    """What `work` gives, unless the store that it asks is away: its own clients wait for minutes before they say so.

    Raises:
        StoreError: where the NameNode accepts no connection, or the store refuses.
    """
    if isinstance(where, Path):
        return work()
    found: list[T] = []
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            found.append(work())
        except BaseException as error:  # raised again by the caller's thread
            failed.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(LOOK_EVERY)
    while thread.is_alive():
        look(where)
        thread.join(LOOK_EVERY)
    if failed:
        raise_as_found(where, failed[0])
    return found[0]


def look(where: HdfsPath) -> None:
    """Whether the NameNode accepts a connection.

    Raises:
        StoreError: if it does not. Of a named service, only HDFS's own client knows the hosts.
    """
    host, _, port = where.authority.partition(":")
    if not port:
        return
    why = silence(host, int(port), CONNECT)
    if why:
        raise StoreError(
            f"{SCHEME}{where.authority} does not answer: {why}",
            "see whether its NameNode runs (hdfs dfsadmin -report), then run the same command again: what was made "
            "is kept",
        )


def raise_as_found(where: HdfsPath, error: BaseException) -> None:
    """Raises what an operation raised: as it is where it says something of a path, else as the store's."""
    if isinstance(error, FileNotFoundError | FileExistsError | RecoError) or not isinstance(error, Exception):
        raise error
    look(where)
    if isinstance(error, OSError | RuntimeError):
        raise StoreError(
            f"{where}: HDFS says: {spoken(error)}", "mend that, then run the same command again"
        ) from error
    raise error


def spoken(error: BaseException) -> str:
    """What HDFS says, without Java's stack."""
    text = str(error).replace("\\n", "\n").replace("\\t", "\t").partition("\n")[0]
    return re.sub(r'^RPCError\("[\w.$]+", "', "", text)


@contextmanager
def lease(path: HdfsPath) -> Iterator[None]:
    """Holds a file open, which HDFS grants to one process at a time, and takes back when that dies.

    HDFS gives the file of a process that no longer renews its lease to another after its soft limit of 60 seconds
    (HdfsConstants.LEASE_SOFTLIMIT_PERIOD).

    Raises:
        FileExistsError: where another process has it open.
    """
    if not path.exists():
        path.write_bytes(b"")
    # Not the client's own file object: when it is collected it asks HDFS, for minutes where that is gone.
    held = path._ask(lambda client: client.inner.append(str(path.pure)))
    try:
        yield
    finally:
        with suppress(StoreError, OSError, RuntimeError):
            look(path)  # no thread: at the end of a process Python starts none any more
            held.close()


# --- between places


def remove_tree(folder: StorePath) -> None:
    """Removes a folder with all in it, or a file; nothing where there is none."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder._ask(lambda client: client.delete(str(folder.pure), True))


def move(source: StorePath, target: StorePath) -> None:
    """Moves a file to a place where its folder exists or is made; to another store by copying."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, Path) and isinstance(target, Path):
        source.rename(target)
    elif isinstance(source, HdfsPath) and isinstance(target, HdfsPath):
        source.replace(target)
    else:
        copy(source, target)
        source.unlink()


def side_by_side(work: Callable[..., object], calls: Iterable[tuple[object, ...]]) -> None:
    """Calls `work` for many files, some at once: HDFS takes up to half a second to close each."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(work, *arguments) for arguments in calls]:
            done.result()


def copy(source: StorePath, target: StorePath) -> str:
    """Copies a file, and gives the sha256 of what was copied."""
    digest = hashlib.sha256()
    with target.open("wb") as write:
        for chunk in chunks(source):
            digest.update(chunk)
            answered(target, functools.partial(write.write, chunk))
    return digest.hexdigest()


def chunks(path: StorePath) -> Iterator[bytes]:
    """The content of a file, piece by piece."""
    with path.open("rb") as file:
        while chunk := answered(path, functools.partial(file.read, CHUNK)):
            yield chunk


def below(path: StorePath, folder: StorePath) -> PurePath:
    """A path relative to a folder of the same store."""
    return path.relative_to(folder)  # type: ignore[arg-type]


def readable(path: StorePath) -> Any:
    """What pyarrow opens of a file: the path, or a file of HDFS."""
    return path if isinstance(path, Path) else path.open("rb")


@contextmanager
def writable(path: StorePath) -> Iterator[Any]:
    """What pyarrow writes a file to."""
    if isinstance(path, Path):
        yield path
    else:
        with path.open("wb") as file:
            yield file


def sha256_file(path: StorePath) -> str:
    """Lower-case hex."""
    if isinstance(path, Path):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for chunk in chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def fetch(source: HdfsPath, target: Path, checksum: str | None) -> None:
    """Brings a file to this machine, whole or not at all.

    Raises:
        StoreError: if what came is not of that sha256.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        found = copy(source, temporary)
        if checksum is not None and found != checksum:
            raise StoreError(f"{source} came with sha256 {found}, its manifest says {checksum}", "validate --deep")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
