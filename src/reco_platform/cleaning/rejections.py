"""Why rows were rejected, for the message of a step that stops: counts by rule, the first example of each, a remedy."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reco_platform.cleaning.rules import CleaningRules, replace_invalid_utf8, violations_of
from reco_platform.datasets import csv_quotes, csv_reader

MOST_RULES = 3
"""So many rules are named in a message; the quality report has all."""

MOST_LETTERS = 40

ID = "a whole number from 0 to 2147483647 (no decimal point, no letters; for other ids id_type=text)"
TIME = "whole seconds since 1970, UTC (divide milliseconds by 1000, convert dates; or set time_unit)"

EXPECTED: Mapping[str, tuple[str, str]] = {
    "malformed_line": (
        csv_reader.LINE,
        "as many fields as the header; only a comma or the line's end behind a closing quote, quotes in it doubled",
    ),
    "invalid_utf8": ("title", "text in UTF-8 (convert the file: iconv -f LATIN1 -t UTF-8)"),
    "null_user": ("userId", ID),
    "user_not_a_number": ("userId", ID),
    "negative_user": ("userId", ID),
    "null_movie": ("movieId", ID),
    "movie_not_a_number": ("movieId", ID),
    "negative_movie": ("movieId", ID),
    "null_rating": ("rating", "a number"),
    "rating_not_a_number": ("rating", "a number with a decimal point, such as 3.5"),
    "rating_out_of_range": ("rating", "a number on the rating scale"),
    "null_timestamp": ("timestamp", TIME),
    "timestamp_not_a_number": ("timestamp", TIME),
    "timestamp_out_of_range": ("timestamp", TIME),
    "null_title": ("title", "text"),
    "null_tag": ("tag", "text"),
}
"""Of each rule the column that breaks it, and what it accepts."""


@dataclass(frozen=True)
class Example:
    """The first row of a file that breaks a rule.

    Attributes:
        line: its line in the file, from 1; None if it cannot be told.
        column: the column with the value.
        value: as in the file, shortened; of a malformed line the whole line.
    """

    line: int | None
    column: str
    value: str

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{'' if self.column == csv_reader.LINE else self.column + ' '}{self.value!r}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def first_examples(path: Path, rules: CleaningRules, broken: Iterable[str]) -> dict[str, Example]:
    """The first row of a CSV file that breaks each of some rules.

    Reads the file again, up to the last of these rows, so that it costs nothing where no row is asked for.

    Args:
        path: the CSV file.
        rules: of the table.
        broken: names of rules that rows of the file break.

    Raises:
        DataError: see `csv_reader.read_records`.
    """
    missing, found = set(broken), dict[str, Example]()
    width = len(csv_reader.read_header(path, rules.source_columns))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if "malformed_line" in missing:
            missing.remove("malformed_line")
            line, text = csv_quotes.malformed_line(content, width)
            found["malformed_line"] = Example(line, csv_reader.LINE, shortened(text.decode("utf-8", "replace")))
        for records in csv_reader.read_records(path, rules.source_columns) if missing else ():
            for rule, rows in violations_of(records, rules.apply(records)).items():
                if rule in missing and rows.any():
                    missing.remove(rule)
                    found[rule] = example(content, width, records, rule, int(np.argmax(rows)))
            if not missing:
                break
    return found


def example(content: mmap.mmap, width: int, records: pa.RecordBatch, rule: str, row: int) -> Example:
    column, _ = EXPECTED.get(rule, (records.schema.names[0], ""))
    if column not in records.schema.names:
        column = "tag"
    value = replace_invalid_utf8(records[column].slice(row, 1))[0].as_py()
    line = csv_quotes.record_line(content, width, records[csv_reader.ROW][row].as_py())
    return Example(line, column, shortened(value))


def shortened(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."


def summary(rejected_by_reason: Mapping[str, int], examples: Mapping[str, Example]) -> str:
    """The rules that rejected most rows, with the number of rows and an example of each."""
    ordered = sorted(rejected_by_reason, key=lambda rule: -rejected_by_reason[rule])
    parts = [
        f"{rule} {rejected_by_reason[rule]:,}" + (f" ({examples[rule]})" if rule in examples else "")
        for rule in ordered[:MOST_RULES]
    ]
    more = len(ordered) - MOST_RULES
    return ", ".join(parts) + (f", and {more} more rules" if more > 0 else "")


def remedy(rejected_by_reason: Mapping[str, int], rules: CleaningRules) -> str:
    """What the rule that rejected most rows accepts; empty if there is none."""
    if not rejected_by_reason:
        return ""
    rule = max(rejected_by_reason, key=lambda name: rejected_by_reason[name])
    column, expected = EXPECTED[rule]
    if rule == "rating_out_of_range":
        bounds = next(field for field in rules.contract.fields if field.name == "rating")
        expected = f"a number from {bounds.minimum:g} to {bounds.maximum:g}"
    return f"{'a line needs' if column == csv_reader.LINE else f'{column} must be'} {expected}"
