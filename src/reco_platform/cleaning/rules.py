"""What cleaning is: text becomes typed columns, named rules mark the rows that break them, equal keys leave one row.

The rules are written once, over Arrow batches: threads of one machine run them as they are, Spark in `mapInArrow`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reco_platform.cleaning import kernels
from reco_platform.contracts.tables import TIME, Contract

LINE = "_line"  # the text of a line that has too few or too many fields; its columns are null
ROW = "_row"  # number of the record in its file, from 0
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that a timestamp column can hold
INT_BOUNDS = (-(2**31), 2**31 - 1)
LONG_BOUNDS = (-(2**63), 2**63 - 1)
DECIMAL = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
REASONS = pa.list_(pa.string())

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Numbers:
    """A column of text as numbers.

    Attributes:
        values: shape (rows,); 0 where there is no number.
        blank: rows without any text.
        wrong: rows whose text is no number, or one out of the type's bounds.
    """

    values: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    blank: Mask
    wrong: Mask

    @property
    def there(self) -> Mask:
        return ~(self.blank | self.wrong)


@dataclass(frozen=True)
class Marked:
    """Typed columns by name, and the rows that each rule rejects, in the rules' order; a row may break several."""

    columns: Mapping[str, pa.Array]
    broken: Mapping[str, Mask]


@dataclass(frozen=True)
class Cleaning:
    """How one table is cleaned.

    Attributes:
        contract: what the result promises; of the rows that share its key one stays.
        source: columns of the CSV file.
        mark: the contract's columns and the broken rules of a batch of text.
        keep: which of the rows with one key stays: the first in the order of (column, ascending or descending).
    """

    contract: Contract
    source: tuple[str, ...]
    mark: Callable[[pa.RecordBatch], Marked]
    keep: tuple[tuple[str, str], ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of all rules, in the order in which they are reported."""
        none = pa.record_batch([pa.array([], pa.string())] * len(self.source), names=list(self.source))
        return ("malformed_line", *self.mark(none).broken)

    @property
    def tie_columns(self) -> list[str]:
        """Columns beyond the contract's that `keep` orders by."""
        return [name for name, _ in self.keep if name not in self.contract.names]


@dataclass(frozen=True)
class Checked:
    """A batch of records after the rules.

    Attributes:
        good: the contract's columns, then `tie_columns`.
        rejected: the source's columns as valid UTF-8, `line`, and `reasons`.
        rows: records in the batch.
        reasons: rows rejected by each rule that was broken.
    """

    good: pa.RecordBatch
    rejected: pa.RecordBatch
    rows: int
    reasons: Mapping[str, int]


def check(records: pa.RecordBatch, cleaning: Cleaning) -> Checked:
    """Types and checks a batch of records, as `csvfile.records` gives them."""
    marked = cleaning.mark(records)
    malformed = records[LINE].is_valid().to_numpy(zero_copy_only=False)
    broken = {"malformed_line": malformed, **{rule: rows & ~malformed for rule, rows in marked.broken.items()}}
    bad = np.logical_or.reduce(list(broken.values()))
    contract = cleaning.contract
    columns = {**marked.columns, **{name: records[name] for name in cleaning.tie_columns}}
    good = pa.record_batch(columns).select([*contract.names, *cleaning.tie_columns])
    return Checked(
        good.filter(pa.array(~bad)) if bad.any() else good,
        rejected_rows(records, cleaning, broken, np.flatnonzero(bad)),
        len(records),
        {rule: int(rows.sum()) for rule, rows in broken.items() if rows.any()},
    )


def rejected_schema(cleaning: Cleaning) -> pa.Schema:
    """Of the quarantine: the source's columns and the malformed line as text, and why."""
    return pa.schema([*((name, pa.string()) for name in (*cleaning.source, "line")), ("reasons", REASONS)])


def rejected_rows(
    records: pa.RecordBatch, cleaning: Cleaning, broken: Mapping[str, Mask], rows: npt.NDArray[np.int64]
) -> pa.RecordBatch:
    """The rejected records as written, with every rule that each breaks."""
    texts = [valid_text(records[name].take(pa.array(rows))) for name in (*cleaning.source, LINE)]
    masks = {rule: mask[rows] for rule, mask in broken.items()}
    reasons = [[rule for rule, mask in masks.items() if mask[at]] for at in range(len(rows))]
    return pa.record_batch([*texts, pa.array(reasons, REASONS)], schema=rejected_schema(cleaning))


def valid_text(column: pa.Array) -> pa.Array:
    """Text whose bytes that are not UTF-8 are replaced by U+FFFD."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.binary()).to_pylist()
        return pa.array([value and value.decode("utf-8", "replace") for value in values], pa.string())
    return column


# --- what rules are made of


def whole_numbers(column: pa.Array, bounds: tuple[int, int]) -> Numbers:
    """Whole numbers; a sign and spaces around are allowed, underscores and decimal points are not."""
    data, offsets = buffers(column)
    values, kinds = np.empty(len(column), np.int64), np.empty(len(column), np.uint8)
    kernels.whole(data, offsets, *bounds, values, kinds)
    return Numbers(values, kinds == kernels.BLANK, kinds == kernels.NOT_A_NUMBER)


def decimal_numbers(column: pa.Array) -> Numbers:
    """Numbers of 32 bits, the nearest to what is written; words such as NaN and hexadecimal ones are none."""
    data, offsets = buffers(column)
    values, kinds = np.empty(len(column), np.float32), np.empty(len(column), np.uint8)
    kernels.decimals(data, offsets, values, kinds)
    for row in np.flatnonzero(kinds == kernels.UNDECIDED):
        text = data[offsets[row] : offsets[row + 1]].tobytes().strip(b" ")
        found = DECIMAL.fullmatch(text)
        kinds[row] = kernels.NUMBER if found else kernels.NOT_A_NUMBER
        values[row] = nearest(text) if found else 0
    return Numbers(values, kinds == kernels.BLANK, kinds == kernels.NOT_A_NUMBER)


def nearest(number: bytes) -> np.float32:
    """Rounded once: by way of float64 it would be rounded twice."""
    text = pa.scalar(number.decode().removeprefix("+"))
    return np.float32(text.cast(pa.float32()).as_py())


def buffers(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """The bytes of a text column, and where each value begins; nulls are empty."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(column) + 1, 4 * column.offset) if offsets else np.zeros(1, np.int32)
    return np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8), bounds


def blank(column: pa.Array) -> Mask:
    """Rows without any text but spaces."""
    trimmed = pc.binary_length(pc.ascii_trim(column, " "))
    return np.asarray(pc.equal(trimmed, 0).fill_null(True).to_numpy(zero_copy_only=False))


def not_utf8(column: pa.Array) -> Mask:
    """Rows whose bytes are no text."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return np.array([value is not None and not decodes(value) for value in column.cast(pa.binary()).to_pylist()])
    return np.zeros(len(column), bool)


def decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def identifier(name: str, numbers: Numbers) -> dict[str, Mask]:
    """Rules of an identifier."""
    return {
        f"null_{name}": numbers.blank,
        f"{name}_not_a_number": numbers.wrong,
        f"negative_{name}": numbers.values < 0,
    }


def event(text: pa.RecordBatch, moment: str) -> Marked:
    """What ratings and tags share: user, movie, and the moment, in the column of that name, with its year and month."""
    users, movies = (whole_numbers(text[name], INT_BOUNDS) for name in ("userId", "movieId"))
    seconds = whole_numbers(text["timestamp"], LONG_BOUNDS)
    outside = (seconds.values < 0) | (seconds.values > LAST_SECOND)
    at = pa.array(np.where(outside, 0, seconds.values)).cast(pa.timestamp("s"))
    columns = {
        "user_id": pa.array(users.values.astype(np.int32)),
        "movie_id": pa.array(movies.values.astype(np.int32)),
        moment: at.cast(pa.timestamp("us")).cast(TIME),
        "year": pc.year(at).cast(pa.int32()),
        "month": pc.month(at).cast(pa.int32()),
    }
    broken = {
        **identifier("user", users),
        **identifier("movie", movies),
        "null_timestamp": seconds.blank,
        "timestamp_not_a_number": seconds.wrong,
        "timestamp_out_of_range": outside,
    }
    return Marked(columns, broken)
