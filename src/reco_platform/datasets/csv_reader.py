"""Read CSV files as records of text, for every table; no row is lost."""

from __future__ import annotations

import codecs
import csv
import difflib
import mmap
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from reco_platform.core.arrays import Int64Array
from reco_platform.core.errors import DataError
from reco_platform.store.paths import StorePath, arrow_sink

LINE = "_line"
"""Column with the text of a line that has too few or too many fields; its other columns are null."""

ROW = "_row"
"""Column with the number of the record, from 0."""

BLOCK_BYTES = 16 << 20
MAX_HEADER_BYTES = 1 << 20
BOM = codecs.BOM_UTF8
NUL_LETTER = "\u0100"  # stands for byte 0 where bytes are read as Latin-1: the first letter that is not a byte


@dataclass(frozen=True)
class Dialect:
    """How a file with a record in each line is written.

    Attributes:
        delimiter: one ASCII character between fields.
        quoting: whether fields may be in quotes.
        header: whether the first line names the columns; if not, their names are their positions from 1.
    """

    delimiter: str = ","
    quoting: bool = True
    header: bool = True


CSV = Dialect()
"""The dialect of the files in bronze."""


def read_header(path: Path, required: Sequence[str], dialect: Dialect = CSV) -> list[str]:
    """The column names in a file's first line, or their positions if it has no header.

    Raises:
        DataError: the file is missing, empty or not text, or a required column is missing or occurs twice.
    """
    try:
        with path.open("rb") as file:
            line = re.split(rb"[\r\n]", file.readline(MAX_HEADER_BYTES), maxsplit=1)[0].decode("utf-8-sig")
        names = split_line(line, dialect)
    except FileNotFoundError as error:
        raise DataError(
            f"{path} does not exist", f"create it: a CSV file with the columns {', '.join(required)}"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as CSV: {error}", "it must be an uncompressed UTF-8 CSV file"
        ) from error
    if not names:
        raise DataError(f"{path}: the first line is empty", f"it must contain the column names: {','.join(required)}")
    if not dialect.header:
        require_positions(path, required, len(names))
        return [str(position) for position in range(1, len(names) + 1)]
    require_columns(f"{path}, line 1", names, required, f"the columns {', '.join(required)} are needed, in any order")
    return names


def require_columns(where: str, names: Sequence[str], required: Sequence[str], hint: str) -> None:
    """Checks that a file has the required columns, each once.

    Args:
        where: the file, for the message.
        names: its columns.
        required: the columns to find.
        hint: what to do if one is missing.

    Raises:
        DataError: it does not.
    """
    for name in required:
        if name not in names:
            similar = difflib.get_close_matches(name, names, n=1)
            guess = f" (perhaps it is named {similar[0]!r})" if similar else ""
            raise DataError(
                f"{where}: column {name!r} is missing{guess}; the file has {', '.join(map(repr, names))}", hint
            )
        if list(names).count(name) > 1:
            raise DataError(f"{where}: column {name!r} occurs twice", "rename or remove one of the two")


def split_line(line: str, dialect: Dialect) -> list[str]:
    """The fields of a line.

    Raises:
        csv.Error: its quotes are wrong.
    """
    if not dialect.quoting:
        return line.split(dialect.delimiter) if line else []
    return next(csv.reader([line], delimiter=dialect.delimiter, strict=True), [])


def require_positions(path: Path, required: Sequence[str], width: int) -> None:
    """Checks that a file without header has the required columns.

    Raises:
        DataError: its first line has too few fields.
    """
    for position in required:
        if int(position) > width:
            raise DataError(
                f"{path}, line 1: there is no column {position}; the line has {width} fields",
                "give positions from 1, and the delimiter that stands between the fields",
            )


def extra_columns(path: Path, required: Sequence[str]) -> list[str]:
    """The columns of a file that are not required. Raises DataError as `read_header` does."""
    return [name for name in read_header(path, required) if name not in required]


def record_schema(required: Sequence[str]) -> pa.Schema:
    """The schema of records: the required columns (text, as in the file), LINE (text) and ROW (int64)."""
    return pa.schema([*((name, pa.string()) for name in required), (LINE, pa.string()), (ROW, pa.int64())])


def read_records(path: Path, required: Sequence[str], dialect: Dialect = CSV) -> Iterator[pa.RecordBatch]:
    """Reads a CSV file's records as text. Malformed lines, with too few or too many fields, come last, in LINE.

    Args:
        path: the CSV file.
        required: the columns to read.
        dialect: how the file is written.

    Yields:
        Batches of `record_schema`. ROW numbers the good records in the order of the file, then the malformed lines, in
        which bytes that are not UTF-8 are replaced by U+FFFD.

    Raises:
        DataError: the file cannot be read as CSV, or has no rows.
    """
    names = read_header(path, required, dialect)
    csv_format = detect_format(path, len(names), dialect)
    if csv_format.unclosed_quote_line is not None:
        raise DataError(
            f"{path}, line {csv_format.unclosed_quote_line}: a quote is opened and never closed",
            'close it, or double it: ""',
        )
    malformed = [line.decode("utf-8", "replace") for line in csv_format.faulty_lines]

    def skip_malformed(row: Any) -> str:
        # A quoted value can have many lines: each is counted.
        text = row.text if csv_format.is_text else letters_to_bytes(row.text).decode("utf-8", "replace")
        malformed.extend(re.split(r"[\r\n]+", text.strip("\r\n")))
        return "skip"

    schema, rows = record_schema(required), 0
    try:
        with path.open("rb") as file:
            reader = pc.open_csv(
                pa.OSFile(str(path))
                if csv_format.is_safe_for_arrow
                else ArrowInput(file, csv_format),  # whatever its name
                read_options=pc.ReadOptions(block_size=BLOCK_BYTES, column_names=None if dialect.header else names),
                parse_options=pc.ParseOptions(
                    delimiter=dialect.delimiter,
                    quote_char='"' if dialect.quoting else False,
                    newlines_in_values=csv_format.has_quotes,
                    invalid_row_handler=skip_malformed,
                ),
                convert_options=pc.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=list(required),
                    check_utf8=False,
                    strings_can_be_null=False,
                ),
            )
            for batch in reader:
                columns = batch.columns if csv_format.is_text else [restore_bytes(column) for column in batch.columns]
                yield numbered_batch([*columns, pa.nulls(batch.num_rows, pa.string())], rows, schema)
                rows += batch.num_rows
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as CSV: {error}", "correct the file, or remove the line") from error
    if rows + len(malformed) == 0:
        raise DataError(f"{path} has a header but no rows", "add rows, or delete the file if it is tags.csv")
    nulls = [pa.nulls(len(malformed), pa.string()) for _ in required]
    yield numbered_batch([*nulls, pa.array(malformed, pa.string())], rows, schema)


def numbered_batch(columns: Sequence[pa.Array], first: int, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with the column ROW added, numbered from `first`."""
    numbers = pa.array(np.arange(first, first + len(columns[0])))
    return pa.record_batch([*columns, numbers], schema=schema)


def convert_to_parquet(path: Path, required: Sequence[str], target: StorePath) -> None:
    """Writes the records of a CSV file into one Parquet file, which Spark's tasks read in parts."""
    with arrow_sink(target) as file, pq.ParquetWriter(file, record_schema(required), compression="lz4") as writer:
        for batch in read_records(path, required):
            writer.write_batch(batch)


# --- the format of a file


@dataclass(frozen=True)
class CsvFormat:
    """What has to be known of a CSV file's bytes to read it correctly.

    Attributes:
        has_quotes: whether values are quoted, which may then contain newlines.
        is_text: whether the file is UTF-8 without zero bytes.
        is_safe_for_arrow: whether Arrow reads the file correctly without `ArrowInput`.
        unclosed_quote_line: the line with an opening quote that has no closing quote; None if there is none.
        faults: the lines with wrong quotes, as `csv_quotes.QuoteFaults.lines` has them, which Arrow must not see.
        faulty_lines: their text.
    """

    has_quotes: bool
    is_text: bool
    is_safe_for_arrow: bool
    unclosed_quote_line: int | None
    faults: Int64Array
    faulty_lines: tuple[bytes, ...]


def detect_format(path: Path, columns: int, dialect: Dialect = CSV) -> CsvFormat:
    """The format of a CSV file that is not empty and has so many columns."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        has_quotes = dialect.quoting and content.find(b'"') >= 0
        is_text = content.find(b"\0") < 0 and is_utf8(content)
        if not has_quotes:
            return CsvFormat(False, is_text, is_text, None, np.zeros((0, 2), np.int64), ())
        from reco_platform.datasets import csv_quotes  # noqa: PLC0415  # compiled code, which slows every command

        found = csv_quotes.quote_faults(content, columns, dialect.delimiter, header=dialect.header)
        is_safe = is_text and not len(found.lines) and content.find(b"\r") < 0
        faulty_lines = tuple(csv_quotes.lines_of(content, found))
        return CsvFormat(True, is_text, is_safe, found.unclosed_line, found.lines, faulty_lines)


def is_utf8(content: mmap.mmap) -> bool:
    offsets = pa.py_buffer(np.array([0, len(content)]))
    try:
        pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(content)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


class ArrowInput:
    """A CSV file in a form that Arrow 25 reads correctly; used as a file object.

    It leaves out the lines with wrong quotes. It works around three bugs of Arrow: it drops a newline at the beginning
    of a block after a carriage return, even inside quotes; after a zero byte it overlooks commas; and it cannot report
    a malformed line that is not UTF-8. So no block ends between the two characters, and a file that is not text is read
    as Latin-1, one letter for each byte.

    Args:
        file: the file; read from its beginning.
        csv_format: of the file.
    """

    closed = False

    def __init__(self, file: BinaryIO, csv_format: CsvFormat) -> None:
        self.file = file
        self.is_text = csv_format.is_text
        self.faults = deque(csv_format.faults.tolist())
        file.seek(len(BOM) if file.read(len(BOM)) == BOM else 0)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end of the file."""
        block = self.read_around_faults(size if self.is_text else size // 2)  # a letter needs up to two bytes
        if len(block) > 1 and block.endswith(b"\r"):
            ahead = self.file.read(1)
            splits_newline = ahead == b"\n"
            self.file.seek(-len(ahead) - splits_newline, os.SEEK_CUR)
            block = block[: len(block) - splits_newline]
        return block if self.is_text else block.decode("latin-1").replace("\0", NUL_LETTER).encode()

    def read_around_faults(self, size: int) -> bytes:
        """The next bytes that are not part of a line with wrong quotes."""
        parts, left = [], size
        while left:
            at = self.file.tell()
            if self.faults and at == self.faults[0][0]:
                self.file.seek(self.faults.popleft()[1])
                continue
            part = self.file.read(min(left, self.faults[0][0] - at) if self.faults else left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def letters_to_bytes(letters: str) -> bytes:
    """The bytes that `ArrowInput` has read as letters."""
    return letters.replace(NUL_LETTER, "\0").encode("latin-1")


def restore_bytes(column: pa.Array) -> pa.Array:
    """A column that was read as letters with its original bytes, which need not be valid UTF-8."""
    return pa.array(map(letters_to_bytes, column.to_pylist()), pa.binary()).view(pa.string())
