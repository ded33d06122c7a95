"""CSV files as records of plain text: one reader for every table, in which no row is lost."""

from __future__ import annotations

import csv
import difflib
import io
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from reco_platform.errors import DataError
from reco_platform.places import Place, writable

BLOCK_BYTES = 16 << 20
LINE = "_line"
ROW = "_row"


def header(path: Path, required: Sequence[str]) -> list[str]:
    """The columns that a CSV file's first line names.

    Raises:
        DataError: if the file is missing, empty or not text, or lacks a column or has it twice.
    """
    try:
        with path.open("rb") as file:
            line = file.readline().decode("utf-8-sig")
        names = next(csv.reader(io.StringIO(line, newline="")), [])
    except FileNotFoundError as error:
        raise DataError(
            f"{path} does not exist", f"put a CSV file with the columns {', '.join(required)} there"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}", "give an uncompressed UTF-8 CSV file") from error
    if not names:
        raise DataError(f"{path} is empty", f"its first line must name the columns: {','.join(required)}")
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


def unclosed_quote(path: Path) -> int | None:
    """The line on which a quoted value begins that no quote ends: it would swallow the rest of the file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        at = text.find(b'"')
        while at >= 0:
            start = at
            if start == 0 or text[start - 1] in b",\r\n":
                at = text.find(b'"', start + 1)
                while at >= 0 and text[at + 1 : at + 2] == b'"':
                    at = text.find(b'"', at + 2)
                if at < 0:
                    return text[:start].count(b"\n") + 1
            at = text.find(b'"', at + 1)
    return None


def schema(required: Sequence[str]) -> pa.Schema:
    """Of records: `required` (text, as in the file), `_line` (text, null in good records) and `_row` (int64)."""
    return pa.schema([*((name, pa.string()) for name in required), (LINE, pa.string()), (ROW, pa.int64())])


def records(path: Path, required: Sequence[str], *, multiline: bool) -> Iterator[pa.RecordBatch]:
    """A CSV file's records as text; lines with too few or too many fields come last, in `_line`.

    Args:
        path: the CSV file.
        required: columns to keep.
        multiline: whether quoted values may hold newlines.

    Yields:
        Batches of `schema`. `_row` is a running number: good records in file order, then the malformed lines.

    Raises:
        DataError: if the file cannot be read as CSV, or has no rows.
    """
    names = header(path, required)
    line = unclosed_quote(path)
    if line is not None:
        raise DataError(f"{path}, line {line}: a quote is opened and never closed", 'close it, or double it: ""')
    malformed: list[str] = []

    def keep(row: Any) -> str:
        # One quote too many makes a record of many lines: each line counts, so that none goes uncounted.
        malformed.extend(re.split(r"[\r\n]+", row.text.strip("\r\n")))
        return "skip"

    shape, rows = schema(required), 0
    try:
        reader = pc.open_csv(
            path,
            read_options=pc.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pc.ParseOptions(newlines_in_values=multiline, invalid_row_handler=keep),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=list(required),
                check_utf8=False,
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            yield numbered([*batch.columns, pa.nulls(batch.num_rows, pa.string())], rows, shape)
            rows += batch.num_rows
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as CSV: {error}", "mend the file, or leave the line out") from error
    if rows + len(malformed) == 0:
        raise DataError(f"{path} has a header but no rows", "give a file with data, or delete it if it is tags.csv")
    nulls = [pa.nulls(len(malformed), pa.string()) for _ in required]
    yield numbered([*nulls, pa.array(malformed, pa.string())], rows, shape)


def numbered(columns: Sequence[pa.Array], first: int, shape: pa.Schema) -> pa.RecordBatch:
    numbers = pa.array(np.arange(first, first + len(columns[0])))
    return pa.record_batch([*columns, numbers], schema=shape)


def extra_columns(path: Path, required: Sequence[str]) -> list[str]:
    """Names of the columns that a file has beyond the required ones. Raises DataError as `header` does."""
    return [name for name in header(path, required) if name not in required]


def to_parquet(path: Path, required: Sequence[str], target: Place, *, multiline: bool) -> None:
    """Writes what `records` gives into one Parquet file, for readers that share the work."""
    with writable(target) as file, pq.ParquetWriter(file, schema(required), compression="lz4") as writer:
        for batch in records(path, required, multiline=multiline):
            writer.write_batch(batch)
