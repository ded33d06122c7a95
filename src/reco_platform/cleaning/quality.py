"""The result of cleaning a table, and its quality report.

`cleaning.native` and `cleaning.spark` give the same rows, counts and fingerprint.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.contracts.tables import Contract, violations
from reco_platform.fingerprint.spec import RowSums
from reco_platform.lakehouse.tables import data_files
from reco_platform.store.paths import StorePath, arrow_source, relative_path

DUPLICATES = ("exact", "conflicting")


@dataclass(frozen=True)
class ColumnRange:
    """Number of nulls, minimum and maximum of a column; None where the type has no order or there is no value."""

    nulls: int = 0
    minimum: Any = None
    maximum: Any = None

    def __add__(self, other: ColumnRange) -> ColumnRange:
        minimums = [value for value in (self.minimum, other.minimum) if value is not None]
        maximums = [value for value in (self.maximum, other.maximum) if value is not None]
        return ColumnRange(self.nulls + other.nulls, min(minimums, default=None), max(maximums, default=None))


@dataclass(frozen=True)
class CleaningResult:
    """The counts of a cleaned table; every row of the source is in exactly one of them.

    Attributes:
        rows_in: records of the source.
        rejected: rows that violate a rule.
        rejected_by_reason: rows by rule, in the rules' order; a row may be counted for several.
        duplicates: rows with the key of a row that is kept: exact if equal to it, otherwise conflicting.
        ranges: by column, of the rows that are kept.
        sums: of the rows that are kept.
    """

    rows_in: int
    rejected: int
    rejected_by_reason: dict[str, int]
    duplicates: dict[str, int]
    ranges: dict[str, ColumnRange]
    sums: RowSums

    @property
    def rows_out(self) -> int:
        return self.sums.rows

    def counts_add_up(self) -> bool:
        return self.rows_in == self.rows_out + self.rejected + sum(self.duplicates.values())


def has_order(kind: pa.DataType) -> bool:
    """Whether the minimum and maximum of a column of this type are reported."""
    return not pa.types.is_nested(kind) and not pa.types.is_string(kind)


def column_report(cleaned: CleaningResult, contract: Contract) -> dict[str, dict[str, Any]]:
    """Percentage of nulls, minimum and maximum of each column."""
    report = {}
    for field in contract.fields:
        found = cleaned.ranges[field.name]
        report[field.name] = {"null_percent": round(100 * found.nulls / max(cleaned.rows_out, 1), 6)}
        if has_order(field.type):
            report[field.name] |= {"min": json_value(found.minimum), "max": json_value(found.maximum)}
    return report


def json_value(value: Any) -> Any:
    """A value as JSON has it; times as text."""
    if value is None or isinstance(value, int | float | str):
        return value
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def sort_columns(contract: Contract) -> list[str]:
    """The columns by which the rows of a file are sorted: the key, or all columns that are not folders."""
    return list(contract.key) or [field.name for field in contract.fields if field.name not in contract.partition_by]


def check_sample(contract: Contract, staging: StorePath, *, size: int, seed: int) -> tuple[int, list[str]]:
    """Checks the contract on a random sample of staged files.

    Args:
        contract: of the table.
        staging: the folder with the files.
        size: number of rows to read.
        seed: of the sample.

    Returns:
        The number of rows that were read, and their violations of the contract.
    """
    files = data_files(staging)
    random.Random(seed).shuffle(files)  # noqa: S311  # a sample, not a secret
    tables, rows = [], 0
    for path in files:
        table = pq.read_table(arrow_source(path), partitioning=None)
        for part in relative_path(path, staging).parts[:-1]:
            name, _, value = part.partition("=")
            table = table.append_column(name, pa.array([int(value)] * len(table), pa.int32()))
        tables.append(table.select(contract.names).slice(0, size - rows))
        rows += len(tables[-1])
        if rows >= size:
            break
    if rows == 0:
        return 0, []
    return rows, violations(contract, pa.concat_tables(tables).cast(contract.schema).to_pandas())


def quality_report(
    cleaned: CleaningResult, contract: Contract, sampled: int, sample_violations: list[str], max_reject_share: float
) -> dict[str, Any]:
    """The quality report of a table; `problems` is empty if it passed.

    Args:
        cleaned: the result of cleaning.
        contract: of the table.
        sampled: number of rows that were checked against the contract.
        sample_violations: their violations.
        max_reject_share: the largest share of rejected rows that is allowed.
    """
    problems = [f"contract: {item}" for item in sample_violations]
    if not cleaned.counts_add_up():
        problems.append("rows in are not the sum of rows out, rejected rows and duplicates")
    if cleaned.rows_in and cleaned.rejected / cleaned.rows_in > max_reject_share:
        share = f"{cleaned.rejected:,} of {cleaned.rows_in:,} rows rejected ({cleaned.rejected / cleaned.rows_in:.1%})"
        problems.append(f"{share}, more than max_reject_share={max_reject_share:g}")
    if cleaned.rows_out == 0:
        problems.append("no row is left after cleaning")
    for field in contract.fields:
        if not field.nullable and cleaned.ranges[field.name].nulls:
            problems.append(f"{field.name} contains nulls")
    return {
        "table": contract.name,
        "passed": not problems,
        "problems": problems,
        "rows_in": cleaned.rows_in,
        "rows_out": cleaned.rows_out,
        "rejected": cleaned.rejected,
        "rejected_by_reason": cleaned.rejected_by_reason,
        "duplicates": cleaned.duplicates,
        "columns": column_report(cleaned, contract),
        "sampled_rows": sampled,
    }
