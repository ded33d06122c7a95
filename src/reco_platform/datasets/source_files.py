"""The files of a user's data set: found by name or pattern, opened plain whatever their compression, and identified."""

from __future__ import annotations

import fnmatch
import gzip
import lzma
import shlex
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from reco_platform.core.errors import DataError
from reco_platform.datasets.source_layout import SourceLayout

PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
"""First bytes of compressed files."""

ENDINGS = {
    "parquet": (".parquet", ".pq"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}
"""Endings of names, without that of a compression, by format; every other file is text with delimiters."""

UNPACK_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError)


@dataclass(frozen=True)
class SourceFile:
    """A file, or a member of a zip archive.

    Attributes:
        path: of the file or the archive.
        member: name inside the archive; empty for a file.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Its name for people, and as config keys take it inside the folder."""
        return f"{self.path.name}/{self.member}" if self.member else self.path.name

    @property
    def format(self) -> str:
        """The format by its name: csv, parquet or jsonl."""
        plain = (self.member or self.path.name).lower().removesuffix(".gz").removesuffix(".zst")
        return next((kind for kind, endings in ENDINGS.items() if plain.endswith(endings)), "csv")

    @property
    def packing(self) -> str | None:
        """gzip, zstd or zip by the first bytes; None for a plain file."""
        if self.member:
            return "zip"
        with self.path.open("rb") as file:
            start = file.read(4)
        return next((kind for mark, kind in PACKED.items() if start.startswith(mark)), None)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its content, unpacked.

        Raises:
            DataError: it cannot be read or unpacked.
        """
        try:
            match self.packing:
                case "gzip":
                    with gzip.open(self.path) as stream:
                        yield cast("IO[bytes]", stream)
                case "zstd":
                    with pa.input_stream(self.path, compression="zstd") as stream:
                        yield cast("IO[bytes]", stream)
                case "zip":
                    with zipfile.ZipFile(self.path) as bundle, bundle.open(self.member) as stream:
                        yield stream
                case _:
                    with self.path.open("rb") as stream:
                        yield stream
        except UNPACK_ERRORS as error:
            raise DataError(f"{self.path}: cannot be unpacked: {error}", "copy or download it again") from error
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be read: {error.strerror or error}", f"ls -ld -- {shlex.quote(str(self.path))}"
            ) from error

    def stats(self) -> list[int]:
        """Size in bytes and modification time in ns."""
        found = self.path.stat()
        return [found.st_size, found.st_mtime_ns]


def ratings_files(folder: Path, layout: SourceLayout) -> list[SourceFile]:
    """The files of ratings, in the order in which they are read: as listed, those of a pattern by name.

    Raises:
        DataError: there is none, or a listed one is missing.
    """
    items = items_files(folder, layout) if layout.items_file != layout.ratings_file else []
    found = [file for file in listed_files(folder, "ratings_file", layout.ratings_file) if file not in items]
    if not found:
        raise missing(folder, "ratings_file", layout.ratings_file)
    return found


def items_files(folder: Path, layout: SourceLayout) -> list[SourceFile]:
    """The files of items; none if the layout has none, or its pattern matches nothing.

    Raises:
        DataError: a listed one is missing.
    """
    return [] if layout.items_file is None else listed_files(folder, "items_file", layout.items_file)


def listed_files(folder: Path, key: str, value: str) -> list[SourceFile]:
    """The files that a config value names: names or patterns, joined by commas; each file once.

    Raises:
        DataError: a name without a pattern is missing, or a zip file has several members and none is named.
    """
    found: dict[SourceFile, None] = {}
    for name in filter(None, map(str.strip, value.split(","))):
        archive, marker, member = name.partition(".zip/")
        if marker:
            found |= dict.fromkeys(members(folder / f"{archive}.zip", member, folder, key))
        elif (folder / name).is_file():
            found |= dict.fromkeys(whole_file(folder / name))
        elif is_pattern(name):
            for path in sorted(path for path in folder.glob(name) if path.is_file()):
                found |= dict.fromkeys(whole_file(path))
        else:
            raise missing(folder, key, name)
    return list(found)


def is_pattern(name: str) -> bool:
    return any(letter in name for letter in "*?[")


def whole_file(path: Path) -> list[SourceFile]:
    """A file; of a zip archive its only member."""
    if SourceFile(path).packing != "zip":
        return [SourceFile(path)]
    names = member_names(path)
    if len(names) != 1:
        raise DataError(
            f"{path} holds {len(names)} files: {', '.join(names[:20])}",
            f"name one: --config ratings_file={shlex.quote('/'.join([path.name, *names[:1]]))}",
        )
    return [SourceFile(path, names[0])]


def members(archive: Path, pattern: str, folder: Path, key: str) -> list[SourceFile]:
    """The members of a zip archive with a name or pattern."""
    if not archive.is_file():
        raise missing(folder, key, archive.name)
    names = member_names(archive)
    found = [pattern] if pattern in names else fnmatch.filter(names, pattern)
    if not found and not is_pattern(pattern):
        raise DataError(
            f"{archive} has no {pattern!r}; it holds {', '.join(names[:20])}",
            f"set {key} to {archive.name}/ and one of these names",
        )
    return [SourceFile(archive, name) for name in sorted(found)]


def member_names(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as bundle:
            names = [info.filename for info in bundle.infolist() if not info.is_dir()]
    except UNPACK_ERRORS as error:
        raise DataError(f"{archive}: cannot be unpacked: {error}", "copy or download it again") from error
    return [name for name in names if not name.startswith("__MACOSX/")]


def missing(folder: Path, key: str, name: str) -> DataError:
    if folder.is_dir():
        there = sorted(path.name for path in folder.iterdir() if path.is_file())
        what = f"{folder} has no {name!r} ({key}); it holds {', '.join(there[:20]) or 'no files'}"
    else:
        what = f"{folder} is not a folder"
    return DataError(what, f"python tools/run_pipeline.py inspect {shlex.quote(str(folder))}")
