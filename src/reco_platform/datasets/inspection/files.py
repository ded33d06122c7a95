"""The bytes of a data file: what kind of file it is, its head, and blocks spread over the rest."""

from __future__ import annotations

import codecs
import gzip
import shlex
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from reco_platform.core.errors import DataError

HEAD_BYTES = 512 << 10
BLOCK_BYTES = 16 << 10
BLOCKS = 64
COMPRESSED_BYTES = 256 << 20
"""Of a compressed file, which can only be read from its start, no more bytes than these are unpacked."""

MAX_FILES = 200
BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BINARY = {
    b"SQLite format 3\0": "an SQLite database: export its table as CSV",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\xd0\xcf\x11\xe0": "a workbook of an old Excel: save its sheet as CSV (UTF-8)",
    b"ORC": "an ORC file: convert it to Parquet or CSV",
    b"Obj\x01": "an Avro file: convert it to Parquet or CSV",
    b"ARROW1": "an Arrow file: convert it to Parquet or CSV",
    b"BZh": "compressed by bzip2: unpack it with bunzip2",
    b"\xfd7zXZ": "compressed by xz: unpack it with unxz",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\x80\x02": "a Python pickle: convert it to Parquet or CSV",
    b"\x80\x04": "a Python pickle: convert it to Parquet or CSV",
    b"\x89HDF": "an HDF5 file: convert it to Parquet or CSV",
}
"""First bytes of files that cannot be read, and what they are."""

DOCUMENTS = {".md", ".html", ".htm", ".rst", ".py", ".r", ".ipynb", ".sh", ".yaml", ".yml", ".toml"}
DOCUMENT_NAMES = {"readme", "license", "licence", "notice", "changelog", "readme_ch"}
"""Endings and names of files that hold no data."""

MARKS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"PAR1": "parquet"}
"""First bytes of files that can be read."""


@dataclass(frozen=True)
class DataFile:
    """A file, or a member of a zip archive.

    Attributes:
        path: of the file, or of the archive.
        kind: text, gzip, zstd, zip or parquet.
        member: name inside the archive; empty for a file.
        problem: why it cannot be read; empty if it may be.
    """

    path: Path
    kind: str
    member: str = ""
    problem: str = ""

    @property
    def name(self) -> str:
        """Its name as the config key ratings_file has it."""
        return f"{self.path.name}/{self.member}" if self.member else self.path.name

    @property
    def has_telling_name(self) -> bool:
        """Whether the ending of its name says that it is Parquet or JSON lines."""
        return self.plain_name.lower().endswith((".parquet", ".pq", ".jsonl", ".ndjson", ".json"))

    @property
    def plain_name(self) -> str:
        """Its own name without the ending of a compression."""
        name = Path(self.member or self.path.name).name
        return name.removesuffix(".gz").removesuffix(".zst")


@dataclass(frozen=True)
class Sample:
    """Bytes of a file.

    Attributes:
        head: from the start, whole lines unless the file is a single one.
        blocks: whole lines from elsewhere in the file.
        size: bytes of the whole file, unpacked; None if that is not known.
    """

    head: bytes
    blocks: tuple[bytes, ...]
    size: int | None


def data_files(place: Path) -> list[DataFile]:
    """The files at a place that may hold data: a file's own, or those of a folder and of its archives.

    Raises:
        DataError: there is nothing, or it cannot be read.
    """
    try:
        if place.is_dir():
            entries = sorted(path for path in place.iterdir() if not path.name.startswith((".", "_")))
            paths = [path for path in entries if not path.is_dir()][:MAX_FILES]
            if not paths:
                raise no_files(place, [path.name for path in entries])
        elif place.exists():
            paths = [place]
        else:
            raise DataError(f"{place} does not exist", f"ls -- {shlex.quote(str(place.absolute().parent))}")
    except OSError as error:
        raise unreadable(place, error) from error
    return [found for path in paths for found in parts_of(path)]


def no_files(place: Path, folders: Sequence[str]) -> DataError:
    """The error for a folder without files; it names the folders in it."""
    inside = f"; it has the folders {', '.join(folders[:5])}" if folders else ""
    hint = f"name one of them: {place}/{folders[0]}" if folders else f"ls -la -- {shlex.quote(str(place))}"
    return DataError(f"{place} has no files{inside}", hint)


def unreadable(place: Path, error: OSError) -> DataError:
    return DataError(
        f"{error.filename or place} cannot be read: {error.strerror or error}",
        f"ls -ld -- {shlex.quote(str(error.filename or place))}",
    )


def parts_of(path: Path) -> list[DataFile]:
    """A file, or the members of a zip archive."""
    if path.suffix.lower() in DOCUMENTS or path.stem.lower() in DOCUMENT_NAMES:
        return [DataFile(path, "text", problem="a text for people")]
    try:
        with path.open("rb") as file:
            start = file.read(512)
        kind = kind_of(start)
        if kind == "zip":
            return zip_members(path)
    except OSError as error:
        return [DataFile(path, "text", problem=f"it cannot be read: {error.strerror or error}")]
    return [DataFile(path, kind, problem=problem_of(start))]


def kind_of(start: bytes) -> str:
    return next((kind for mark, kind in MARKS.items() if start.startswith(mark)), "text")


def problem_of(start: bytes) -> str:
    """Why a file with these first bytes is no table; empty if it may be one."""
    if not start:
        return "empty"
    if kind_of(start) != "text" or start.startswith(BYTE_ORDER_MARKS):
        return ""
    known = next((what for mark, what in BINARY.items() if start.startswith(mark)), "")
    return known or ("binary: it has bytes 0" if b"\0" in start else "")


def zip_members(path: Path) -> list[DataFile]:
    """The members of a zip archive that are files."""
    try:
        with zipfile.ZipFile(path) as bundle:
            names = [info.filename for info in bundle.infolist() if not info.is_dir() and info.file_size]
    except (zipfile.BadZipFile, NotImplementedError) as error:
        return [DataFile(path, "zip", problem=f"not a complete zip file ({error}): copy or download it again")]
    if any(name.startswith("xl/") for name in names):
        return [DataFile(path, "zip", problem="an Excel workbook: save its sheet as CSV (UTF-8)")]
    hidden = ("__MACOSX/", ".")
    return [DataFile(path, "zip", name) for name in sorted(names)[:MAX_FILES] if not name.startswith(hidden)]


def sample(file: DataFile) -> Sample:
    """The head of a text file and blocks spread over the rest.

    Raises:
        DataError: it cannot be read or unpacked.
    """
    try:
        if file.kind == "text":
            return spread_sample(file.path)
        with open_unpacked(file) as stream:
            return stream_sample(stream)
    except OSError as error:
        raise unreadable(file.path, error) from error
    except (EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError, pa.ArrowException) as error:
        raise DataError(f"{file.name} cannot be unpacked: {error}", "copy or download it again") from error


def open_unpacked(file: DataFile) -> IO[Any]:
    """A stream of a compressed file's content."""
    match file.kind:
        case "gzip":
            return cast("IO[Any]", gzip.open(file.path))
        case "zstd":
            stream: IO[Any] = pa.input_stream(file.path, compression="zstd")
            return stream
    return zipfile.ZipFile(file.path).open(file.member)


def spread_sample(path: Path) -> Sample:
    """Of a file that can be read at any place: its head, and blocks at equal distances up to its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= HEAD_BYTES + BLOCKS * BLOCK_BYTES:
            return Sample(file.read(), (), size)
        head = file.read(HEAD_BYTES)
        step = max((size - HEAD_BYTES - BLOCK_BYTES) / BLOCKS, 1)
        blocks = []
        for number in range(1, BLOCKS + 1):
            at = min(int(HEAD_BYTES + number * step), size - BLOCK_BYTES)
            file.seek(at)
            blocks.append(file.read(BLOCK_BYTES))
    ends = [whole_lines(block, is_last=number == len(blocks) - 1) for number, block in enumerate(blocks)]
    return Sample(whole_lines(head, is_first=True), tuple(filter(None, ends)), size)


def stream_sample(stream: IO[Any]) -> Sample:
    """Of a file that can only be read from its start: its head, and a block of every 4 MB."""
    head = read_fully(stream, HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return Sample(head, (), len(head))
    blocks, size = [], len(head)
    distance = COMPRESSED_BYTES // BLOCKS
    for chunk in chunks(stream, distance):
        size += len(chunk)
        blocks.append(whole_lines(chunk[-BLOCK_BYTES:]))
        if size >= COMPRESSED_BYTES:
            return Sample(whole_lines(head, is_first=True), tuple(filter(None, blocks)), None)
    return Sample(whole_lines(head, is_first=True), tuple(filter(None, blocks)), size)


def chunks(stream: IO[Any], size: int) -> Iterator[bytes]:
    while chunk := read_fully(stream, size):
        yield chunk


def read_fully(stream: IO[Any], size: int) -> bytes:
    """As many bytes as there are, up to a size; a read of a compressed stream may give fewer."""
    parts, left = [], size
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def whole_lines(block: bytes, *, is_first: bool = False, is_last: bool = False) -> bytes:
    """The lines of a block that are whole. Those of UTF-16 are found by their text instead."""
    end = b"\n" if b"\n" in block else b"\r"
    if not is_first:
        block = block[block.find(end) + 1 :] if end in block else b""
    if not is_last and end in block:
        block = block[: block.rfind(end) + 1]
    return block
