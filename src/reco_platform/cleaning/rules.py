"""Cleaning rules: text becomes typed columns, named rules reject rows, and one row of each key is kept.

The rules work on Arrow batches. `cleaning.native` applies them in threads of this machine, `cleaning.spark` in Spark's
`mapInArrow`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reco_platform.cleaning import kernels
from reco_platform.contracts.tables import TIME, Contract
from reco_platform.core.arrays import BoolArray, Float32Array, Int32Array, Int64Array, UInt8Array
from reco_platform.datasets.csv_reader import LINE

LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that a timestamp column can represent
INT32_RANGE = (-(2**31), 2**31 - 1)
INT64_RANGE = (-(2**63), 2**63 - 1)
DECIMAL = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
REASONS = pa.list_(pa.string())


@dataclass(frozen=True)
class ParsedNumbers:
    """The numbers of a text column.

    Attributes:
        values: shape (rows,); 0 where there is no number.
        blank: rows that are empty or only spaces, shape (rows,).
        invalid: rows whose text is not a number, or is out of the type's range, shape (rows,).
    """

    values: Int64Array | Float32Array
    blank: BoolArray
    invalid: BoolArray

    @property
    def valid(self) -> BoolArray:
        return ~(self.blank | self.invalid)


@dataclass(frozen=True)
class RuleResults:
    """What the rules of a table make of a batch of records.

    Attributes:
        columns: typed columns by name.
        violations: for each rule, in order, the rows that violate it, shape (rows,); a row may violate several.
    """

    columns: Mapping[str, pa.Array]
    violations: Mapping[str, BoolArray]


@dataclass(frozen=True)
class CleaningRules:
    """How one table is cleaned.

    Attributes:
        contract: the contract of the result; one row of each key is kept.
        source_columns: columns of the CSV file.
        apply: computes the contract's columns and the violations of a batch of records.
        keep_first: which row of a key is kept: the first in this order, (column, ascending or descending).
    """

    contract: Contract
    source_columns: tuple[str, ...]
    apply: Callable[[pa.RecordBatch], RuleResults]
    keep_first: tuple[tuple[str, str], ...]

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The names of all rules, in the order of the reports."""
        no_rows = pa.record_batch([pa.array([], pa.string())] * len(self.source_columns), names=self.source_columns)
        return ("malformed_line", *self.apply(no_rows).violations)

    @property
    def order_columns(self) -> list[str]:
        """Columns of records that `keep_first` needs and the contract does not have."""
        return [name for name, _ in self.keep_first if name not in self.contract.names]


@dataclass(frozen=True)
class CheckedBatch:
    """A batch of records after the rules.

    Attributes:
        accepted: the contract's columns, then `order_columns`.
        rejected: rows of `rejected_schema`.
        rows: number of records in the batch.
        reasons: number of rows that violate each rule, for rules with violations.
    """

    accepted: pa.RecordBatch
    rejected: pa.RecordBatch
    rows: int
    reasons: Mapping[str, int]


def check_batch(records: pa.RecordBatch, rules: CleaningRules) -> CheckedBatch:
    """Applies the rules to a batch of records, as `csv_reader.read_records` yields them."""
    results = rules.apply(records)
    violations = violations_of(records, results)
    bad = np.logical_or.reduce(list(violations.values()))
    columns = {**results.columns, **{name: records[name] for name in rules.order_columns}}
    typed = pa.record_batch(columns).select([*rules.contract.names, *rules.order_columns])
    return CheckedBatch(
        typed.filter(pa.array(~bad)) if bad.any() else typed,
        rejected_rows(records, rules, violations, np.flatnonzero(bad)),
        len(records),
        {rule: int(rows.sum()) for rule, rows in violations.items() if rows.any()},
    )


def violations_of(records: pa.RecordBatch, results: RuleResults) -> dict[str, BoolArray]:
    """For each rule the records that violate it, shape (rows,); a malformed line violates no other rule."""
    malformed = records[LINE].is_valid().to_numpy(zero_copy_only=False)
    return {"malformed_line": malformed, **{rule: rows & ~malformed for rule, rows in results.violations.items()}}


def rejected_schema(rules: CleaningRules) -> pa.Schema:
    """The schema of the quarantine: the source's columns and the malformed line as text, and the violated rules."""
    return pa.schema([*((name, pa.string()) for name in (*rules.source_columns, "line")), ("reasons", REASONS)])


def rejected_rows(
    records: pa.RecordBatch, rules: CleaningRules, violations: Mapping[str, BoolArray], rows: Int64Array
) -> pa.RecordBatch:
    """The rejected records as they are in the file, with the rules that each violates."""
    texts = [replace_invalid_utf8(records[name].take(pa.array(rows))) for name in (*rules.source_columns, LINE)]
    masks = {rule: mask[rows] for rule, mask in violations.items()}
    reasons = [[rule for rule, mask in masks.items() if mask[at]] for at in range(len(rows))]
    return pa.record_batch([*texts, pa.array(reasons, REASONS)], schema=rejected_schema(rules))


# --- numbers


def parse_integers(column: pa.Array, bounds: tuple[int, int]) -> ParsedNumbers:
    """Integers within bounds. A sign and surrounding spaces are allowed, underscores and decimal points are not."""
    data, offsets = text_buffers(column)
    values, kinds = np.empty(len(column), np.int64), np.empty(len(column), np.uint8)
    kernels.parse_integers(data, offsets, *bounds, values, kinds)
    return ParsedNumbers(values, kinds == kernels.BLANK, kinds == kernels.NOT_A_NUMBER)


def parse_decimals(column: pa.Array) -> ParsedNumbers:
    """The nearest float32 of each number; NaN, infinity and hexadecimal numbers are not accepted."""
    data, offsets = text_buffers(column)
    values, kinds = np.empty(len(column), np.float32), np.empty(len(column), np.uint8)
    kernels.parse_decimals(data, offsets, values, kinds)
    for row in np.flatnonzero(kinds == kernels.UNDECIDED):
        text = data[offsets[row] : offsets[row + 1]].tobytes().strip(b" ")
        is_number = DECIMAL.fullmatch(text)
        kinds[row] = kernels.NUMBER if is_number else kernels.NOT_A_NUMBER
        values[row] = nearest_float32(text) if is_number else 0
    return ParsedNumbers(values, kinds == kernels.BLANK, kinds == kernels.NOT_A_NUMBER)


def nearest_float32(number: bytes) -> np.float32:
    """The float32 nearest to a number in text; converting to float64 first would round twice."""
    text = pa.scalar(number.decode().removeprefix("+"))
    return np.float32(text.cast(pa.float32()).as_py())


def text_buffers(column: pa.Array) -> tuple[UInt8Array, Int32Array]:
    """The bytes of a text column, and the offsets of its values, shape (rows + 1,); nulls are empty."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(column) + 1, 4 * column.offset) if offsets else np.zeros(1, np.int32)
    return np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8), bounds


# --- text


def is_blank(column: pa.Array) -> BoolArray:
    """Rows that are null, empty or only spaces, shape (rows,)."""
    length = pc.binary_length(pc.ascii_trim(column, " "))
    return np.asarray(pc.equal(length, 0).fill_null(True).to_numpy(zero_copy_only=False))


def replace_invalid_utf8(column: pa.Array) -> pa.Array:
    """Text in which bytes that are not UTF-8 are replaced by U+FFFD."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.binary()).to_pylist()
        return pa.array([value and value.decode("utf-8", "replace") for value in values], pa.string())
    return column


# --- rules that several tables have


def identifier_rules(name: str, numbers: ParsedNumbers) -> dict[str, BoolArray]:
    """The violations of the rules of an identifier."""
    return {
        f"null_{name}": numbers.blank,
        f"{name}_not_a_number": numbers.invalid,
        f"negative_{name}": numbers.values < 0,
    }


def event_rules(records: pa.RecordBatch, time_column: str) -> RuleResults:
    """The columns and rules that ratings and tags share: user, movie, and time with its year and month.

    Args:
        records: with the columns userId, movieId and timestamp.
        time_column: the name of the time column in the result.
    """
    users, movies = (parse_integers(records[name], INT32_RANGE) for name in ("userId", "movieId"))
    seconds = parse_integers(records["timestamp"], INT64_RANGE)
    out_of_range = (seconds.values < 0) | (seconds.values > LAST_SECOND)
    time = pa.array(np.where(out_of_range, 0, seconds.values)).cast(pa.timestamp("s"))
    columns = {
        "user_id": pa.array(users.values.astype(np.int32)),
        "movie_id": pa.array(movies.values.astype(np.int32)),
        time_column: time.cast(pa.timestamp("us")).cast(TIME),
        "year": pc.year(time).cast(pa.int32()),
        "month": pc.month(time).cast(pa.int32()),
    }
    violations = {
        **identifier_rules("user", users),
        **identifier_rules("movie", movies),
        "null_timestamp": seconds.blank,
        "timestamp_not_a_number": seconds.invalid,
        "timestamp_out_of_range": out_of_range,
    }
    return RuleResults(columns, violations)
