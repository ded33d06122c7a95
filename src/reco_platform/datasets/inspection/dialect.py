"""From bytes to a table of text: encoding, delimiter, quotes, header."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reco_platform.datasets.inspection.files import BYTE_ORDER_MARKS, Sample
from reco_platform.datasets.inspection.names import known_name
from reco_platform.datasets.inspection.values import is_number, is_time_text

DELIMITERS = ("::", "\t", ";", ",", "|", "^", "~", "\x01")
"""Candidates; where several fit equally well, the earlier one is taken."""

MAX_ROWS = 20_000
UNDEFINED_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
JSON_ARRAY = re.compile(r"\s*\[\s*\{")
NETFLIX_ITEM = re.compile(r"[0-9]+:")
Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A sample of a file as rows of text.

    Attributes:
        format: csv, jsonl, parquet, or netflix (ratings below a line with their movie).
        names: of the columns, from the header; positions from 1 where there is none.
        rows: values in the order of `names`; a missing one is empty.
        has_header: whether the first line names the columns.
        header_is_sure: whether that is certain.
        delimiter: between fields, of csv.
        quoting: whether fields may stand in quotes, of csv.
        encoding: of the text.
        malformed: lines with another number of fields, in the sample.
        malformed_example: one of them.
        row_bytes: average length of a row, to estimate the number of rows.
        types: names of the columns' types, of Parquet.
        nested: columns whose values are lists or objects.
        crlf: whether lines end with a carriage return and a newline.
        has_bom: whether the file begins with a byte order mark.
        total_rows: of the whole file, if it is known.
        separator_line: the line `sep=;` before the header, which no reader takes; empty if there is none.
        size: bytes of the whole file, unpacked; None if that is not known.
    """

    format: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    has_header: bool = True
    header_is_sure: bool = True
    delimiter: str = ","
    quoting: bool = True
    encoding: str = "utf-8"
    malformed: int = 0
    malformed_example: str = ""
    row_bytes: float = 0
    types: dict[str, str] = field(default_factory=dict)
    nested: frozenset[str] = frozenset()
    crlf: bool = False
    has_bom: bool = False
    total_rows: int | None = None
    size: int | None = None
    separator_line: str = ""

    def column(self, name: str) -> list[str]:
        at = self.names.index(name)
        return [row[at] for row in self.rows]


def table_of(sample: Sample) -> Table | None:
    """The table in a sample of a text file; None if it is no table."""
    encoding = encoding_of(sample)
    head, *blocks = texts(sample, encoding)
    if not head.strip() or JSON_ARRAY.match(head):
        return None
    found = (
        json_table(head, blocks)
        if head.lstrip().startswith("{")
        else netflix_table(head, blocks)
        if NETFLIX_ITEM.fullmatch(head.split("\n", 1)[0].strip())
        else csv_table(head, blocks)
    )
    if found is None:
        return None
    crlf, has_bom = "\r\n" in head, sample.head.startswith(b"\xef\xbb\xbf")
    first = head.split("\n", 1)[0].strip()
    separator = first if re.fullmatch("sep=.", first) else ""
    return replace(found, separator_line=separator, encoding=encoding, crlf=crlf, has_bom=has_bom, size=sample.size)


# --- encoding


def encoding_of(sample: Sample) -> str:
    """The encoding of a sample: UTF-8 if all of it is, UTF-16 by its mark, otherwise of Western Europe."""
    if sample.head.startswith(BYTE_ORDER_MARKS):
        return "utf-16"
    content = b"".join((sample.head, *sample.blocks))
    try:
        content.decode()
    except UnicodeDecodeError:
        high = {byte for byte in content if 0x80 <= byte < 0xA0}
        return "cp1252" if high and not high & UNDEFINED_IN_CP1252 else "latin-1"
    return "utf-8"


def texts(sample: Sample, encoding: str) -> list[str]:
    """The head and the blocks as text."""
    if encoding == "utf-16":
        little = sample.head.startswith(BYTE_ORDER_MARKS[0])
        name = "utf-16-le" if little else "utf-16-be"
        return [sample.head.decode(name, "ignore").removeprefix("\ufeff")]  # blocks may begin inside a character
    return [block.decode(encoding, "replace").removeprefix("\ufeff") for block in (sample.head, *sample.blocks)]


# --- JSON lines and Netflix


def json_table(head: str, blocks: Sequence[str]) -> Table | None:
    """A table of JSON lines: the columns are the keys of the objects."""
    lines = [line for text in (head, *blocks) for line in text.splitlines() if line.strip()][:MAX_ROWS]
    objects: list[dict[str, Any]] = []
    malformed: list[Any] = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            malformed.append(line)
            continue
        if isinstance(value, dict):
            objects.append(value)
        else:
            malformed.append(line)
    if not objects or len(objects) < len(malformed):
        return None
    counts = Counter(key for value in objects for key in value)
    names = tuple(counts)
    nested = frozenset(key for value in objects for key, one in value.items() if isinstance(one, list | dict))
    rows = tuple(tuple(as_text(value.get(name)) for name in names) for value in objects)
    return Table(
        "jsonl", names, rows, malformed=len(malformed), malformed_example=str(malformed[0])[:80] if malformed else "",
        row_bytes=sum(len(line.encode()) + 1 for line in lines) / len(lines), nested=nested,
        total_rows=len(lines) if not blocks and len(lines) < MAX_ROWS else None,
    )  # fmt: skip


def as_text(value: object) -> str:
    """A value of JSON or Parquet as text; lists and objects as JSON."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str():
            return value
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def netflix_table(head: str, blocks: Sequence[str]) -> Table | None:
    """Ratings `customer,rating,date` below a line `movie:`, as in the files of the Netflix prize."""
    rows: list[Row] = []
    item, lines, malformed = "", 0, []
    for line in head.splitlines():
        lines += 1
        if NETFLIX_ITEM.fullmatch(line.strip()):
            item = line.strip()[:-1]
            continue
        fields = line.split(",")
        if len(fields) == 3:
            rows.append((item, *fields))
        elif line.strip():
            malformed.append(line)
    if not rows:
        return None
    found = Table("netflix", ("1", "2", "3", "4"), tuple(rows[:MAX_ROWS]), has_header=False, malformed=len(malformed))
    return replace(found, row_bytes=len(head) / max(lines, 1))


# --- delimited text


@dataclass(frozen=True)
class Split:
    """The records of a sample by one delimiter.

    Attributes:
        delimiter: between fields.
        quoting: whether quotes were honoured.
        records: all of them.
        width: the most frequent number of fields.
        share: of the records with that number.
    """

    delimiter: str
    quoting: bool
    records: list[list[str]]
    width: int
    share: float


def csv_table(head: str, blocks: Sequence[str]) -> Table | None:
    """A table of delimited text; None if no delimiter fits."""
    head = without_separator_line(head)
    split = best_split(head)
    if split is None:
        return None
    further = [fields for text in blocks for fields in records_of(text, split.delimiter, quoting=split.quoting)]
    records = [*split.records, *further]
    good = [tuple(fields) for fields in records if len(fields) == split.width]
    bad = [fields for fields in records if len(fields) != split.width]
    first, has_header, sure = good[0], *header_of(good)
    named = has_header and len(split.records[0]) == split.width
    body = good[1:] if named else good
    names = unique_names(first) if named else tuple(str(n) for n in range(1, split.width + 1))
    text = head + "".join(blocks)
    return Table(
        "csv", names, spread_rows(body), has_header=named, header_is_sure=sure, delimiter=split.delimiter,
        quoting=split.quoting, malformed=len(bad),
        malformed_example=split.delimiter.join(bad[0])[:80] if bad else "",
        row_bytes=len(text.encode()) / max(len(records), 1), total_rows=None if blocks else len(body) + len(bad),
    )  # fmt: skip


def without_separator_line(head: str) -> str:
    """Text without the line `sep=;` that Excel writes, and without comments before the header."""
    lines = head.splitlines(keepends=True)
    skipped = 0
    while skipped < len(lines) and (
        re.fullmatch(r"sep=.\s*", lines[skipped]) or (lines[skipped].startswith("%") and skipped < 50)
    ):
        skipped += 1
    return "".join(lines[skipped:])


def spread_rows(rows: list[Row]) -> tuple[Row, ...]:
    """At most MAX_ROWS of the rows: the first ones, and others at equal distances."""
    if len(rows) <= MAX_ROWS:
        return tuple(rows)
    half = MAX_ROWS // 2
    step = (len(rows) - half) / half
    return (*rows[:half], *(rows[half + int(number * step)] for number in range(half)))


def best_split(text: str) -> Split | None:
    """The delimiter by which most records have the same number of fields, at least two."""
    found = []
    for delimiter in DELIMITERS:
        if delimiter not in text:
            continue
        quotings = (True, False) if '"' in text and len(delimiter) == 1 else (True,)
        splits = [split_by(text, delimiter, quoting=quoting) for quoting in quotings]
        found.append(max(splits, key=lambda one: round(one.share, 2)))
    fitting = [one for one in found if one.width > 1 and one.share >= 0.5]
    if not fitting:
        return None
    return max(
        fitting, key=lambda one: (one.share >= 0.9, header_fit(one), one.width if one.share >= 0.9 else one.share)
    )


def header_fit(split: Split) -> int:
    """How many fields of the first line are known names of columns."""
    return sum(known_name(name) is not None for name in split.records[0])


def split_by(text: str, delimiter: str, *, quoting: bool) -> Split:
    records = records_of(text, delimiter, quoting=quoting)
    counts = Counter(map(len, records))
    width, frequency = max(counts.items(), key=lambda one: (one[1], one[0])) if counts else (0, 0)
    return Split(delimiter, quoting, records, width, frequency / max(len(records), 1))


def records_of(text: str, delimiter: str, *, quoting: bool) -> list[list[str]]:
    """The records of a text. In a block that begins inside a value the first ones may be wrong."""
    lines = text.splitlines(keepends=True) if quoting else text.splitlines()
    if len(delimiter) > 1:
        return [line.rstrip("\r\n").split(delimiter) for line in lines if line.strip()]
    reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE)
    found: list[list[str]] = []
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return found
        except csv.Error:
            continue
        if fields:
            found.append(fields)


def header_of(rows: list[Row]) -> tuple[bool, bool]:
    """Whether the first row names the columns, and whether that is sure."""
    first, body = rows[0], rows[1:200]
    if any(is_number(name) or is_time_text(name) for name in first):
        return False, True
    if sum(known_name(name) is not None for name in first) >= 2:
        return True, True
    for at, name in enumerate(first):
        typed = sum(is_number(row[at]) or is_time_text(row[at]) for row in body)
        if name.strip() and body and typed >= 0.9 * len(body):
            return True, True
    return len(set(first)) == len(first) and all(name.strip() for name in first), False


def unique_names(first: Row) -> tuple[str, ...]:
    """The names of a header as written; a repeated or empty one is named by its position."""
    counts = Counter(first)
    return tuple(name if name and counts[name] == 1 else str(at) for at, name in enumerate(first, start=1))
