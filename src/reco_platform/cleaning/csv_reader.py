"""CSV files as records of plain text: one reader for every table, in which no row is lost."""

from __future__ import annotations

import codecs
import csv
import difflib
import mmap
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from reco_platform.core.errors import DataError
from reco_platform.store.paths import StorePath, arrow_sink

BLOCK_BYTES = 16 << 20
LONGEST_HEADER = 1 << 20
BOM = codecs.BOM_UTF8
NUL = "\u0100"  # stands for a byte 0 where bytes are read as letters: the first letter that is no byte
LINE = "_line"
ROW = "_row"


def header(path: Path, required: Sequence[str]) -> list[str]:
    """The columns that a CSV file's first line names.

    Raises:
        DataError: if the file is missing, empty or not text, or lacks a column or has it twice.
    """
    try:
        with path.open("rb") as file:
            line = re.split(rb"[\r\n]", file.readline(LONGEST_HEADER), maxsplit=1)[0].decode("utf-8-sig")
        names = next(csv.reader([line], strict=True), [])
    except FileNotFoundError as error:
        raise DataError(
            f"{path} does not exist", f"put a CSV file with the columns {', '.join(required)} there"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}", "give an uncompressed UTF-8 CSV file") from error
    if not names:
        raise DataError(f"{path} is empty, or its first line is", f"that must name the columns: {','.join(required)}")
    for name in required:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            renamed = f" ({near[0]!r} may be it under another name)" if near else ""
            raise DataError(
                f"{path}, line 1: column {name!r} is missing{renamed}; the file has {', '.join(map(repr, names))}",
                f"the columns {', '.join(required)} are needed, in any order",
            )
        if names.count(name) > 1:
            raise DataError(f"{path}, line 1: column {name!r} is there twice", "rename or remove one of the two")
    return names


@dataclass(frozen=True)
class Look:
    """What a look at the bytes of a CSV file tells a reader.

    Attributes:
        quoted: whether any value is, which may then hold newlines.
        plain: whether all of it is UTF-8 and no byte is 0.
        direct: whether Arrow reads it without mistakes (see Blocks).
        unclosed: the line on which a quoted value begins that no quote ends: it would swallow the rest of the file.
    """

    quoted: bool
    plain: bool
    direct: bool
    unclosed: int | None


def look(path: Path) -> Look:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        quoted = content.find(b'"') >= 0
        plain = content.find(b"\0") < 0 and is_utf8(content)
        direct = plain and not (quoted and content.find(b"\r") >= 0)
        return Look(quoted, plain, direct, unclosed_quote(content))


def is_utf8(content: mmap.mmap) -> bool:
    ends = pa.py_buffer(np.array([0, len(content)]))
    try:
        pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(content)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def unclosed_quote(content: mmap.mmap) -> int | None:
    at = content.find(b'"')
    while at >= 0:
        start = at
        if start == 0 or content[start - 1] in b",\r\n":
            at = content.find(b'"', start + 1)
            while at >= 0 and content[at + 1 : at + 2] == b'"':
                at = content.find(b'"', at + 2)
            if at < 0:
                return len(re.findall(rb"\r\n|\r|\n", content[:start])) + 1
        at = content.find(b'"', at + 1)
    return None


def schema(required: Sequence[str]) -> pa.Schema:
    """Of records: `required` (text, as in the file), `_line` (text, null in good records) and `_row` (int64)."""
    return pa.schema([*((name, pa.string()) for name in required), (LINE, pa.string()), (ROW, pa.int64())])


def records(path: Path, required: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A CSV file's records as text; lines with too few or too many fields come last, in `_line`.

    Args:
        path: the CSV file.
        required: columns to keep.

    Yields:
        Batches of `schema`. `_row` is a running number: good records in file order, then the malformed lines, in which
        bytes that are not UTF-8 are replaced by U+FFFD.

    Raises:
        DataError: if the file cannot be read as CSV, or has no rows.
    """
    names, seen = header(path, required), look(path)
    if seen.unclosed is not None:
        raise DataError(
            f"{path}, line {seen.unclosed}: a quote is opened and never closed", 'close it, or double it: ""'
        )
    malformed: list[str] = []

    def keep(row: Any) -> str:
        # One quote too many makes a record of many lines: each line counts, so that none goes uncounted.
        text = row.text if seen.plain else as_bytes(row.text).decode("utf-8", "replace")
        malformed.extend(re.split(r"[\r\n]+", text.strip("\r\n")))
        return "skip"

    shape, rows = schema(required), 0
    try:
        with path.open("rb") as file:
            reader = pc.open_csv(
                path if seen.direct else Blocks(file, seen.plain),
                read_options=pc.ReadOptions(block_size=BLOCK_BYTES),
                parse_options=pc.ParseOptions(newlines_in_values=seen.quoted, invalid_row_handler=keep),
                convert_options=pc.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=list(required),
                    check_utf8=False,
                    strings_can_be_null=False,
                ),
            )
            for batch in reader:
                columns = batch.columns if seen.plain else [as_written(column) for column in batch.columns]
                yield numbered([*columns, pa.nulls(batch.num_rows, pa.string())], rows, shape)
                rows += batch.num_rows
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as CSV: {error}", "mend the file, or leave the line out") from error
    if rows + len(malformed) == 0:
        raise DataError(f"{path} has a header but no rows", "give a file with data, or delete it if it is tags.csv")
    nulls = [pa.nulls(len(malformed), pa.string()) for _ in required]
    yield numbered([*nulls, pa.array(malformed, pa.string())], rows, shape)


class Blocks:
    """A CSV file as Arrow 25 can read it, which has three weak points.

    It takes a newline away that begins a block behind a carriage return, also inside of quotes. Behind a byte 0 it
    passes over commas. It cannot hand over a malformed line that is not UTF-8. So no block ends between the two, and in
    a file that is not plain each byte is a letter.

    Args:
        file: at its beginning.
        plain: whether all of it is UTF-8 and no byte is 0.
    """

    closed = False

    def __init__(self, file: BinaryIO, plain: bool) -> None:
        self.file = file
        self.plain = plain
        file.seek(len(BOM) if file.read(len(BOM)) == BOM else 0)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        block = self.file.read(size if self.plain else size // 2)  # a letter takes up to two
        if len(block) > 1 and block.endswith(b"\r"):
            ahead = self.file.read(1)
            together = ahead == b"\n"
            self.file.seek(-len(ahead) - together, os.SEEK_CUR)
            block = block[: len(block) - together]
        return block if self.plain else block.decode("latin-1").replace("\0", NUL).encode()


def as_bytes(letters: str) -> bytes:
    """What `Blocks` has read as letters."""
    return letters.replace(NUL, "\0").encode("latin-1")


def as_written(column: pa.Array) -> pa.Array:
    """A column that was read as letters, as text, be it UTF-8 or not."""
    return pa.array(map(as_bytes, column.to_pylist()), pa.binary()).view(pa.string())


def numbered(columns: Sequence[pa.Array], first: int, shape: pa.Schema) -> pa.RecordBatch:
    numbers = pa.array(np.arange(first, first + len(columns[0])))
    return pa.record_batch([*columns, numbers], schema=shape)


def extra_columns(path: Path, required: Sequence[str]) -> list[str]:
    """Names of the columns that a file has beyond the required ones. Raises DataError as `header` does."""
    return [name for name in header(path, required) if name not in required]


def to_parquet(path: Path, required: Sequence[str], target: StorePath) -> None:
    """Writes what `records` gives into one Parquet file, for readers that share the work."""
    with arrow_sink(target) as file, pq.ParquetWriter(file, schema(required), compression="lz4") as writer:
        for batch in records(path, required):
            writer.write_batch(batch)
