"""Which rows of the sample would be rejected by the layout that was found, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reco_platform.datasets.inspection.detect import Inspection
from reco_platform.datasets.inspection.values import (
    INTEGER,
    ISO,
    is_number,
    number,
    parsed,
)

INT32 = 2**31
LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z."""

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
Check = Callable[[str], str | None]


@dataclass(frozen=True)
class Reason:
    """Why rows would be rejected.

    Attributes:
        rule: its name in the quarantine.
        rows: of the sample.
        value: one of the values.
    """

    rule: str
    rows: int
    value: str


@dataclass(frozen=True)
class Rejections:
    """The rows of a sample that would be rejected.

    Attributes:
        sampled: number of rows that were looked at.
        rejected: number of those with at least one reason.
        reasons: the most frequent first; a row may have several.
    """

    sampled: int
    rejected: int
    reasons: tuple[Reason, ...]

    @property
    def share(self) -> float:
        return self.rejected / max(self.sampled, 1)


def rejections(found: Inspection) -> Rejections:
    """The rows of the sample that the cleaning rules would reject."""
    table = found.ratings.table
    assert table is not None  # noqa: S101  # it has users and items
    checks = [
        (table.names.index(column), check) for column, check in column_checks(found.keys) if column in table.names
    ]
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    rejected = 0
    for row in table.rows:
        reasons = [(reason, row[at]) for at, check in checks if (reason := check(row[at]))]
        rejected += bool(reasons)
        for reason, value in reasons:
            counts[reason] = counts.get(reason, 0) + 1
            examples.setdefault(reason, value)
    if table.malformed:
        counts["malformed_line"], examples["malformed_line"] = table.malformed, table.malformed_example
    ordered = sorted(counts.items(), key=lambda one: -one[1])
    reasons_found = tuple(Reason(rule, rows, examples[rule]) for rule, rows in ordered)
    return Rejections(len(table.rows) + table.malformed, rejected + table.malformed, reasons_found)


def column_checks(keys: Mapping[str, Any]) -> list[tuple[str, Check]]:
    """What is checked of each column, by the keys of the layout."""
    checks: list[tuple[str, Check]] = []
    is_text = keys.get("id_type") == "text"
    for role, name in (("user_column", "user"), ("item_column", "movie")):
        checks.append((str(keys.get(role)), text_id_check(name) if is_text else integer_id_check(name)))
    if keys.get("rating_column") not in {None, "none"}:
        checks.append((str(keys["rating_column"]), rating_check(str(keys.get("rating_scale", "none")))))
    if keys.get("time_column") not in {None, "none"}:
        checks.append((str(keys["time_column"]), time_check(str(keys["time_unit"]))))
    return checks


def text_id_check(name: str) -> Check:
    return lambda value: f"null_{name}" if not value.strip() else None


def integer_id_check(name: str) -> Check:
    def check(value: str) -> str | None:
        text = value.strip(" ")
        if not text:
            return f"null_{name}"
        if not INTEGER.fullmatch(text) or int(text) >= INT32:
            return f"{name}_not_a_number"
        return f"negative_{name}" if int(text) < 0 else None

    return check


def rating_check(scale: str) -> Check:
    bounds = scale.partition(":")[0].split("..")
    least, greatest = map(float, bounds) if len(bounds) == 2 else (float("-inf"), float("inf"))

    def check(value: str) -> str | None:
        if not value.strip():
            return "null_rating"
        if not is_number(value):
            return "rating_not_a_number"
        return None if least <= number(value) <= greatest else "rating_out_of_range"

    return check


def time_check(unit: str) -> Check:
    def check(value: str) -> str | None:
        if not value.strip():
            return "null_timestamp"
        if unit in PER_SECOND or unit == "excel":
            if not is_number(value):
                return "timestamp_not_a_number"
            return None if 0 <= number(value) / PER_SECOND.get(unit, 1) <= LAST_SECOND else "timestamp_out_of_range"
        fits = ISO.fullmatch(value.strip()) if unit == "iso8601" else parsed(value, unit)
        return None if fits else "timestamp_not_a_number"

    return check
