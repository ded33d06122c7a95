"""Silver tables: what cleaning found, and whether that is good enough. The work itself is in silver_native and
silver_spark, which give the same rows, counts and fingerprint."""

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
class Span:
    """Of one column: how many nulls, the least and the greatest value; None where there is no order or no value."""

    nulls: int = 0
    least: Any = None
    greatest: Any = None

    def __add__(self, other: Span) -> Span:
        lows = [value for value in (self.least, other.least) if value is not None]
        highs = [value for value in (self.greatest, other.greatest) if value is not None]
        return Span(self.nulls + other.nulls, min(lows, default=None), max(highs, default=None))


@dataclass(frozen=True)
class Cleaned:
    """What came out of cleaning: every row of the source is in exactly one of the counts.

    Attributes:
        rows_in: records of the source.
        rejected: those that broke a rule.
        rejected_by_reason: by rule, in the rules' order; a row may be in several counts.
        duplicates: rows that share the key of one that stays: exact if equal to it, else conflicting.
        spans: by column.
        sums: of the rows that stay.
    """

    rows_in: int
    rejected: int
    rejected_by_reason: dict[str, int]
    duplicates: dict[str, int]
    spans: dict[str, Span]
    sums: RowSums

    @property
    def rows_out(self) -> int:
        return self.sums.rows

    def balances(self) -> bool:
        return self.rows_in == self.rows_out + self.rejected + sum(self.duplicates.values())


def has_order(kind: pa.DataType) -> bool:
    """Whether a column's least and greatest value are reported."""
    return not pa.types.is_nested(kind) and not pa.types.is_string(kind)


def ranges(cleaned: Cleaned, contract: Contract) -> dict[str, dict[str, Any]]:
    """Share of nulls, least and greatest value of each column."""
    found = {}
    for field in contract.fields:
        span = cleaned.spans[field.name]
        found[field.name] = {"null_percent": round(100 * span.nulls / max(cleaned.rows_out, 1), 6)}
        if has_order(field.type):
            found[field.name] |= {"min": plain(span.least), "max": plain(span.greatest)}
    return found


def plain(value: Any) -> Any:
    if value is None or isinstance(value, int | float | str):
        return value
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def file_order(contract: Contract) -> list[str]:
    """Columns by which the rows of a file are sorted: the key, or all that have an order."""
    return list(contract.key) or [field.name for field in contract.fields if field.name not in contract.partition_by]


def check_sample(contract: Contract, staging: StorePath, *, size: int, seed: int) -> tuple[int, list[str]]:
    """The contract on a seeded sample of staged files: how many rows were read, and what they break."""
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


def quality(cleaned: Cleaned, contract: Contract, sampled: int, broken: list[str], limit: float) -> dict[str, Any]:
    """The quality report of one table; `problems` is empty where it passed."""
    problems = [f"contract: {item}" for item in broken]
    if not cleaned.balances():
        problems.append("rows in differ from rows out, rejected and duplicates together")
    if cleaned.rows_in and cleaned.rejected / cleaned.rows_in > limit:
        share = f"{cleaned.rejected:,} of {cleaned.rows_in:,} rows rejected ({cleaned.rejected / cleaned.rows_in:.1%})"
        problems.append(f"{share}, more than max_reject_share={limit:g}")
    if cleaned.rows_out == 0:
        problems.append("no row is left after cleaning")
    columns = ranges(cleaned, contract)
    for field in contract.fields:
        if not field.nullable and cleaned.spans[field.name].nulls:
            problems.append(f"{field.name} holds nulls")
    return {
        "table": contract.name,
        "passed": not problems,
        "problems": problems,
        "rows_in": cleaned.rows_in,
        "rows_out": cleaned.rows_out,
        "rejected": cleaned.rejected,
        "rejected_by_reason": cleaned.rejected_by_reason,
        "duplicates": cleaned.duplicates,
        "columns": columns,
        "sampled_rows": sampled,
    }
