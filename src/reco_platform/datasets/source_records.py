"""Records of a user's file as Arrow columns, from text with delimiters, Parquet or JSON lines; no row is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reco_platform.core.errors import DataError
from reco_platform.datasets import csv_reader, source_text
from reco_platform.datasets.csv_reader import Dialect, require_columns
from reco_platform.datasets.source_files import SourceFile
from reco_platform.datasets.source_layout import INSPECT
from reco_platform.datasets.text_columns import json_text, text_array

BATCH_ROWS = 1 << 18
JSON_LINES = 1 << 16
LAYOUT_HINT = f"{INSPECT} finds the layout of files"


@dataclass(frozen=True)
class FileFormat:
    """How a file of ratings or items is written; see `source_layout.SourceLayout` for the fields."""

    file_format: str
    delimiter: str
    quoting: bool
    header: bool
    encoding: str
    list_delimiter: str

    def of(self, file: SourceFile) -> str:
        """The format of a file: csv, parquet, jsonl or netflix."""
        return file.format if self.file_format == "auto" else self.file_format


@dataclass(frozen=True)
class Records:
    """Some records of a file.

    Attributes:
        columns: by name; texts, or from Parquet also numbers, times and lists; shape (rows,).
        malformed: lines that are no records: with too few or too many fields, or not JSON.
    """

    columns: dict[str, pa.Array]
    malformed: Sequence[str] = ()


def read_records(file: SourceFile, fmt: FileFormat, required: Sequence[str], scratch: Path) -> Iterator[Records]:
    """Reads the required columns of a file.

    Args:
        file: the file.
        fmt: its format.
        required: names of columns, or positions if the file has no header; each once.
        scratch: a folder for the file's plain text, where it has to be made.

    Raises:
        DataError: the file cannot be read in this format, or a column is missing.
    """
    match fmt.of(file):
        case "parquet":
            yield from parquet_records(file, required, scratch)
        case "jsonl":
            with plain_file(file, fmt, scratch) as path:
                yield from json_records(file, path, required, fmt.list_delimiter)
        case _:
            with plain_file(file, fmt, scratch) as path:
                yield from text_records(file, path, fmt, required)


class plain_file:  # noqa: N801  # a context manager, used like a function
    """The path of a file's plain text: the file itself, or a temporary one."""

    def __init__(self, file: SourceFile, fmt: FileFormat, scratch: Path) -> None:
        self.file, self.fmt, self.scratch = file, fmt, scratch
        self.made: Path | None = None

    def __enter__(self) -> Path:
        kind = self.fmt.of(self.file)
        delimiter = "," if kind == "jsonl" else self.fmt.delimiter
        if source_text.is_plain(self.file, delimiter, self.fmt.encoding, kind):
            return self.file.path
        self.made = self.scratch / "plain-text"
        source_text.write_plain(self.file, self.made, delimiter, self.fmt.encoding, kind)
        return self.made

    def __exit__(self, *_: object) -> None:
        if self.made:
            self.made.unlink(missing_ok=True)


# --- text with delimiters


def text_records(file: SourceFile, path: Path, fmt: FileFormat, required: Sequence[str]) -> Iterator[Records]:
    dialect = Dialect(source_text.reader_delimiter(fmt.delimiter), fmt.quoting, fmt.header)
    replaced = fmt.delimiter if dialect.delimiter != fmt.delimiter else None
    try:
        for batch in csv_reader.read_records(path, required, dialect):
            lines = batch[csv_reader.LINE]
            if lines.null_count == 0 and len(lines):
                malformed = lines.to_pylist()
                if replaced:
                    malformed = [line.replace(dialect.delimiter, replaced) for line in malformed]
                yield Records({}, malformed)
                continue
            columns = {name: batch[name] for name in required}
            if replaced and fmt.quoting:
                columns = {
                    name: pc.replace_substring(column, dialect.delimiter, replaced) for name, column in columns.items()
                }
            yield Records(columns)
    except DataError as error:
        hint = f"{INSPECT} finds the layout of files" if "column" in error.message else error.hint
        raise DataError(error.message.replace(str(path), str(file.path)), hint) from error


# --- Parquet


def parquet_records(file: SourceFile, required: Sequence[str], scratch: Path) -> Iterator[Records]:
    path = file.path
    if file.packing is not None:
        path = scratch / "plain-parquet"
        with file.open() as source, path.open("wb") as out:
            while block := source.read(source_text.BLOCK):
                out.write(block)
    try:
        with pq.ParquetFile(path) as table:
            require_columns(str(file.path), table.schema_arrow.names, required, LAYOUT_HINT)
            for batch in table.iter_batches(BATCH_ROWS, columns=list(required)):
                yield Records({name: batch[name] for name in required})
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file.path} cannot be read as Parquet: {error}", f"{INSPECT} finds the format") from error
    finally:
        if path != file.path:
            path.unlink(missing_ok=True)


# --- JSON lines


def json_records(file: SourceFile, path: Path, required: Sequence[str], list_delimiter: str) -> Iterator[Records]:
    """Records from lines with a JSON object each; a value that is missing or null is an empty text."""
    found: set[str] = set()
    rows = 0
    with path.open("rb") as source:
        while lines := list(islice(source, JSON_LINES)):
            values: dict[str, list[str]] = {name: [] for name in required}
            malformed = []
            for line in lines:
                record = json_object(line)
                if record is None:
                    if line.strip():
                        malformed.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                    continue
                found |= record.keys()
                for name, column in values.items():
                    column.append(json_text(record.get(name), list_delimiter))
            if rows == 0 and lines[0].removeprefix(csv_reader.BOM).lstrip().startswith(b"["):
                raise DataError(
                    f"{file.path} is one JSON array, not a JSON object in each line",
                    f"convert it: jq -c '.[]' {file.path.name} > lines.jsonl",
                )
            rows += len(lines)
            yield Records({name: text_array(column) for name, column in values.items()}, malformed)
    if rows == 0:
        raise DataError(f"{file.path} is empty", "add rows, or name another file")
    require_columns(str(file.path), sorted(found), required, LAYOUT_HINT)


def json_object(line: bytes) -> dict[str, Any] | None:
    """The object in a line; None if there is none."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
