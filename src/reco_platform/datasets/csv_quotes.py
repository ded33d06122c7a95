"""Find the lines of a CSV file whose quotes do not follow RFC 4180, before a parser joins other lines to them.

By RFC 4180 only a delimiter or the end of a line may stand behind a closing quote. A stray quote is closed by the next
quote of the file, which may be many lines further down: a tolerant parser takes those lines for one value. Here the
line that opens such a quote is named, and reading goes on at the line after it.
"""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

import mmap
from codecs import BOM_UTF8 as BOM
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import boolean, int64, njit, types, uint8

from reco_platform.core.arrays import Int64Array, UInt8Array

MAX_LINES = 1000
"""A quoted value with more lines is taken for a stray quote."""

QUOTE, LF, CR, SPACE, POINT, PLUS, MINUS, ZERO, NINE = (ord(letter) for letter in '"\n\r .+-09')
DONE, BROKEN, UNCLOSED, WRONG_WIDTH, REACHED = range(5)
"""Why `walk` has stopped."""


@dataclass(frozen=True)
class QuoteFaults:
    """The lines of a file whose quotes are wrong.

    Attributes:
        lines: first byte of each such line, and first byte of the line after it, int64, shape (lines, 2), ascending.
        unclosed_line: the line, from 1, with an opening quote that has no closing quote; None if there is none.
    """

    lines: Int64Array
    unclosed_line: int | None


def quote_faults(content: mmap.mmap, columns: int, delimiter: str = ",", *, header: bool = True) -> QuoteFaults:
    """The lines, behind the header if there is one, whose quotes are wrong.

    A line is wrong if text stands behind a closing quote of its record, or if a quote that it opens swallows other
    records: a quoted value that has more than MAX_LINES lines, or holds a line that looks like a record itself.

    Args:
        content: of the file; its header is one line.
        columns: number of columns.
        delimiter: one ASCII character.
        header: whether the first line is a header.
    """
    data, found = np.frombuffer(content, np.uint8), list[tuple[int, int]]()
    for kind, start in stops(data, columns, delimiter, header=header):
        if kind == UNCLOSED:
            return QuoteFaults(byte_ranges(found), line_number(data, start))
        if kind == BROKEN:
            found.append((start, next_line(data, start)))
    return QuoteFaults(byte_ranges(found), None)


def byte_ranges(found: Sequence[tuple[int, int]]) -> Int64Array:
    return np.array(found, np.int64).reshape(-1, 2)


def record_line(content: mmap.mmap, columns: int, record: int, delimiter: str = ",") -> int | None:
    """The line, from 1, on which a record of the right width begins; None if there are not so many records.

    Args:
        content: of the file.
        columns: number of columns.
        record: number of the record among those that `quote_faults` accepts and that have all columns, from 0.
        delimiter: one ASCII character.
    """
    data = np.frombuffer(content, np.uint8)
    reached = [start for kind, start in stops(data, columns, delimiter, records=record) if kind == REACHED]
    return line_number(data, reached[0]) if reached else None


def malformed_line(content: mmap.mmap, columns: int, delimiter: str = ",") -> tuple[int, bytes]:
    """The first line with wrong quotes, or with too few or too many fields: its number, from 1, and its text.

    If there is none, the end of the file and no text.
    """
    data = np.frombuffer(content, np.uint8)
    _, start = next(stops(data, columns, delimiter, at_width=True))
    return line_number(data, start), content[start : line_end(data, start)]


def stops(
    data: UInt8Array,
    columns: int,
    delimiter: str,
    *,
    records: int = -1,
    at_width: bool = False,
    header: bool = True,
) -> Iterator[tuple[int, int]]:
    """Each reason why `walk` stops, and the first byte of the record or quote there; ends with the first that is final.

    A line with wrong quotes is passed. If its record went on, the rest of that record is read line by line. There a
    quote that is never closed is one more wrong line, and no reason to refuse the file.
    """
    at, rest = header_end(data) if header else len(BOM) * data[: len(BOM)].tobytes().startswith(BOM), 0
    kind = BROKEN
    while kind == BROKEN:
        kind, record, end, passed = walk(data, at, columns, ord(delimiter), records, at_width)
        if kind == UNCLOSED and end < rest:
            kind = BROKEN
        elif kind == BROKEN:
            rest = max(rest, line_end(data, end))
        yield kind, end if kind == UNCLOSED else record
        at, records = next_line(data, record), records - passed if records >= 0 else records


def line_number(data: UInt8Array, offset: int) -> int:
    """The line, from 1, of a byte; lines end with LF, CR LF or CR."""
    return int(line_ends(data, offset)) + 1


def lines_of(content: mmap.mmap, faults: QuoteFaults) -> Iterator[bytes]:
    """The text of each line with a fault, without its end."""
    for start, end in faults.lines.tolist():
        yield content[start:end].rstrip(b"\r\n")


def header_end(data: UInt8Array) -> int:
    """The first byte behind the first line's text."""
    return int(line_end(data, 0))


# --- compiled

_BYTES = types.Array(uint8, 1, "C", readonly=True)


@njit(int64(_BYTES, int64), cache=True, nogil=True)
def line_end(data: Any, at: Any) -> Any:
    """The first byte from `at` that ends a line, or the end of the data."""
    while at < len(data) and data[at] != LF and data[at] != CR:
        at += 1
    return at


@njit(int64(_BYTES, int64), cache=True, nogil=True)
def next_line(data: Any, at: Any) -> Any:
    """The first byte of the next line."""
    at = line_end(data, at)
    if at + 1 < len(data) and data[at] == CR and data[at + 1] == LF:
        at += 1
    return min(at + 1, len(data))


@njit(int64(_BYTES, int64), cache=True, nogil=True)
def line_ends(data: Any, end: Any) -> Any:
    """The number of ends of lines before a byte."""
    found = 0
    for at in range(end):
        found += data[at] == CR or (data[at] == LF and (at == 0 or data[at - 1] != CR))
    return found


@njit(int64(_BYTES, int64, int64), cache=True, nogil=True)
def field_end(data: Any, at: Any, delimiter: Any) -> Any:
    """The first byte behind a field; -1 if its quote is never closed."""
    if at < len(data) and data[at] == QUOTE:
        at += 1
        while at < len(data):
            if data[at] != QUOTE:
                at += 1
            elif at + 1 < len(data) and data[at + 1] == QUOTE:
                at += 2
            else:
                return at + 1
        return -1
    while at < len(data) and data[at] != delimiter and data[at] != LF and data[at] != CR:
        at += 1
    return at


@njit(boolean(_BYTES, int64, int64), cache=True, nogil=True)
def is_number(data: Any, start: Any, end: Any) -> Any:
    """Whether a field is digits, perhaps in quotes, with a sign, a point, or spaces around."""
    digits = 0
    for at in range(start, end):
        letter = data[at]
        if ZERO <= letter <= NINE:
            digits += 1
        elif letter not in {QUOTE, SPACE, POINT, PLUS, MINUS}:
            return False
    return digits > 0


@njit(boolean(_BYTES, int64, int64, types.Array(boolean, 1, "C"), int64), cache=True, nogil=True)
def looks_like_record(data: Any, at: Any, delimiter: Any, numeric: Any, known: Any) -> Any:
    """Whether a line has all columns, and numbers in the columns that are numeric, as far as they are known.

    Quotes are ignored: this line begins inside a quoted value.
    """
    end, column = line_end(data, at), 0
    while True:
        start = at
        while at < end and data[at] != delimiter:
            at += 1
        if column >= len(numeric) or (column < known and numeric[column] and not is_number(data, start, at)):
            return False
        column += 1
        if at >= end:
            return column == len(numeric)
        at += 1


@njit(boolean(_BYTES, int64, int64, int64, int64), cache=True, nogil=True)
def swallows(data: Any, record: Any, end: Any, columns: Any, delimiter: Any) -> Any:
    """Whether a record over several lines holds a line that looks like a record.

    A column counts as numeric if this record has a number there. The last line has the fields behind the quoted value
    in any case, so that only the columns before the value count in it. Without a numeric column to compare, every line,
    the first one too, must have all columns.
    """
    numeric = np.zeros(columns, np.bool_)
    at, column, broken = record, 0, -1
    while True:
        stop = field_end(data, at, delimiter)
        if broken < 0 and line_end(data, at) < stop:
            broken = column
        if column < columns:
            numeric[column] = is_number(data, at, stop)
        column += 1
        if stop >= end:
            break
        at = stop + 1
    if column != columns:
        numeric[broken:] = False
    before, anywhere = numeric[:broken].any(), numeric.any()
    lines, alike = 1, 0
    start = next_line(data, record)
    while start < end:
        lines += 1
        is_last = line_end(data, start) >= end
        known = broken if is_last else columns
        if looks_like_record(data, start, delimiter, numeric, known):
            alike += 1
            if before or (anywhere and not is_last):
                return True
        start = next_line(data, start)
    if lines > MAX_LINES:
        return True
    first = looks_like_record(data, record, delimiter, numeric, 0)
    return not anywhere and broken > 0 and first and alike == lines - 1


@njit(types.UniTuple(int64, 4)(_BYTES, int64, int64, int64, int64, boolean), cache=True, nogil=True)
def walk(data: Any, at: Any, columns: Any, delimiter: Any, records: Any, stops_at_width: Any) -> Any:
    """Walks over records until something is to be told.

    Args:
        data: the bytes of the file, uint8.
        at: where a line begins or ends.
        columns: number of columns.
        delimiter: the byte between fields.
        records: how many records of the right width to pass at most; -1 for all.
        stops_at_width: whether to stop at a record with too few or too many fields.

    Returns:
        Why it stopped; the first byte of the record there; the byte at which that was found, for UNCLOSED the quote;
        and how many records of the right width were passed.
    """
    passed = 0
    while True:
        while at < len(data) and (data[at] == LF or data[at] == CR):
            at += 1
        if at >= len(data):
            return DONE, at, at, passed
        record, column, spans_lines = at, 0, False
        while True:
            start = at
            at = field_end(data, at, delimiter)
            if at < 0:
                return UNCLOSED, record, start, passed
            column += 1
            if start < len(data) and data[start] == QUOTE:
                spans_lines |= line_end(data, start) < at
                if at < len(data) and data[at] != delimiter and data[at] != LF and data[at] != CR:
                    return BROKEN, record, at, passed
            if at >= len(data) or data[at] != delimiter:
                break
            at += 1
        if spans_lines and swallows(data, record, at, columns, delimiter):
            return BROKEN, record, at, passed
        if column == columns:
            if passed == records:
                return REACHED, record, at, passed
            passed += 1
        elif stops_at_width:
            return WRONG_WIDTH, record, at, passed
