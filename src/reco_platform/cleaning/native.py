"""Clean a table in threads of this process: records of text in, sorted Parquet files out, without a JVM."""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reco_platform.cleaning.quality import DUPLICATES, CleaningResult, ColumnRange, has_order, sort_columns
from reco_platform.cleaning.rules import CleaningRules, check_batch
from reco_platform.contracts.tables import Contract
from reco_platform.core.arrays import BoolArray, Int64Array
from reco_platform.datasets import csv_reader
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spec import RowSums

COMPRESSION = "zstd"
BYTES_PER_CSV_BYTE = 5
"""Peak memory for each byte of the CSV file."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class FileResult:
    """The counts of one written file."""

    sums: RowSums
    duplicates: dict[str, int]
    ranges: dict[str, ColumnRange]


def clean(
    records: Iterable[pa.RecordBatch], rules: CleaningRules, staging: Path, quarantine: Path, threads: int
) -> CleaningResult:
    """Writes the accepted rows to `staging` and the rejected ones to `quarantine`, both as Parquet.

    Args:
        records: batches of `csv_reader.read_records`.
        rules: of the table.
        staging: an existing, empty folder.
        quarantine: an existing, empty folder.
        threads: at least 1; never changes the result.
    """
    accepted: list[pa.RecordBatch] = []
    rejected: list[pa.RecordBatch] = []
    reasons: Counter[str] = Counter()
    rows_in = 0
    contract = rules.contract
    with ThreadPoolExecutor(threads) as pool:
        for checked in map_in_order(pool, lambda batch: check_batch(batch, rules), records, ahead=threads):
            accepted.append(checked.accepted)
            if len(checked.rejected):
                rejected.append(checked.rejected)
            reasons.update(checked.reasons)
            rows_in += checked.rows
        table = pa.Table.from_batches(accepted).combine_chunks()
        accepted.clear()
        parts = partitions(table, contract.partition_by)
        files = list(pool.map(lambda partition: write_partition(table, partition, rules, staging), parts))
    if rejected:
        pq.write_table(pa.Table.from_batches(rejected), quarantine / "part-00000.parquet", compression=COMPRESSION)
    return CleaningResult(
        rows_in=rows_in,
        rejected=sum(map(len, rejected)),
        rejected_by_reason={rule: reasons[rule] for rule in rules.rule_names if reasons[rule]},
        duplicates={kind: sum(file.duplicates[kind] for file in files) for kind in DUPLICATES},
        ranges={name: sum((file.ranges[name] for file in files), ColumnRange()) for name in contract.names},
        sums=sum((file.sums for file in files), RowSums(0, 0, 0)),
    )


def cleaned_table(source: Path, rules: CleaningRules, threads: int) -> pa.Table:
    """The accepted rows of a CSV file, without a lakehouse; see `clean`.

    Raises:
        DataError: see `csv_reader.read_records`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        staging, quarantine = Path(scratch) / "table", Path(scratch) / "quarantine"
        staging.mkdir()
        quarantine.mkdir()
        clean(csv_reader.read_records(source, rules.source_columns), rules, staging, quarantine, threads)
        return pa.concat_tables(pq.ParquetFile(path).read() for path in sorted(staging.rglob("*.parquet")))


def map_in_order(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """As `pool.map`, but reads at most `ahead` items in advance, so that the whole file need not fit in memory."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@dataclass(frozen=True)
class Partition:
    """One partition: the positions of its rows in the table, shape (rows,), and its folder."""

    rows: Int64Array
    folder: str


def partitions(table: pa.Table, partition_by: Sequence[str]) -> list[Partition]:
    """The partitions, the largest first, so that no thread is left with a large one at the end."""
    if not partition_by:
        return [Partition(np.arange(len(table)), "")] if len(table) else []
    columns = [table[name].to_numpy() for name in partition_by]
    bases = [int(values.min(initial=0)) for values in columns]
    sizes = [int(values.max(initial=0)) - base + 1 for values, base in zip(columns, bases, strict=True)]
    codes = np.zeros(len(table), np.int64)
    for values, base, size in zip(columns, bases, sizes, strict=True):
        codes = codes * size + (values - base)
    if np.prod(sizes) <= 1 << 16:
        codes = codes.astype(np.uint16)  # NumPy sorts 16-bit integers in linear time
    order = np.argsort(codes, kind="stable")
    bounds = np.flatnonzero(np.diff(codes[order], prepend=codes[order[:1]] ^ 1, append=codes[order[-1:]] ^ 1))
    found = []
    for first, last in pairwise(bounds.tolist()):
        at = order[first]
        folder = "/".join(f"{name}={values[at]}" for name, values in zip(partition_by, columns, strict=True))
        found.append(Partition(order[first:last], folder))
    return sorted(found, key=lambda partition: -len(partition.rows))


def write_partition(table: pa.Table, partition: Partition, rules: CleaningRules, staging: Path) -> FileResult:
    """Sorts and deduplicates the rows of a partition, and writes them as one file."""
    contract = rules.contract
    rows = table.take(pa.array(partition.rows))
    keys = [(name, "ascending") for name in sort_columns(contract)]
    order = [
        (name, direction)
        for name, direction in (*keys, *rules.keep_first)
        if not pa.types.is_nested(rows.schema.field(name).type)
    ]
    rows = rows.take(pc.sort_indices(rows, sort_keys=order))
    duplicates = dict.fromkeys(DUPLICATES, 0)
    if contract.key:
        first = first_of_key(rows, contract.key)
        exact = equal_to_first(rows, contract, first)
        duplicates = {"exact": int(exact.sum()), "conflicting": int((~first).sum() - exact.sum())}
        if not first.all():
            rows = rows.filter(pa.array(first))
    rows = rows.select(contract.names)
    folder = staging / partition.folder
    folder.mkdir(parents=True, exist_ok=True)
    written = rows.drop_columns(list(contract.partition_by)).cast(
        pa.schema([field for field in contract.schema if field.name not in contract.partition_by])
    )
    pq.write_table(written, folder / "part-00000.parquet", compression=COMPRESSION, row_group_size=1 << 20)
    return FileResult(arrow_sums(rows, contract.names), duplicates, column_ranges(rows, contract))


def first_of_key(rows: pa.Table, key: Sequence[str]) -> BoolArray:
    """Whether each row of a sorted table is the first with its key, shape (rows,)."""
    first = np.zeros(len(rows), bool)
    first[:1] = True
    for name in key:
        values = rows[name].to_numpy()
        first[1:] |= values[1:] != values[:-1]
    return first


def equal_to_first(rows: pa.Table, contract: Contract, first: BoolArray) -> BoolArray:
    """Whether each row is equal to the first row with its key without being that row, shape (rows,).

    Args:
        rows: sorted by key.
        contract: of the table.
        first: as `first_of_key` gives it.
    """
    repeated = np.flatnonzero(~first)
    kept = np.flatnonzero(first)[np.cumsum(first)[repeated] - 1]
    equal = np.ones(len(repeated), bool)
    for field in contract.fields:
        if field.name not in contract.key and not pa.types.is_nested(field.type):
            left, right = (rows[field.name].take(pa.array(at)) for at in (repeated, kept))
            both_null = pc.and_(pc.is_null(left), pc.is_null(right))
            equal &= pc.or_(pc.equal(left, right).fill_null(False), both_null).to_numpy()
    found = np.zeros(len(rows), bool)
    found[repeated] = equal
    return found


def column_ranges(rows: pa.Table, contract: Contract) -> dict[str, ColumnRange]:
    found = {}
    for field in contract.fields:
        column = rows[field.name]
        bounds = pc.min_max(column) if has_order(field.type) else {"min": pa.scalar(None), "max": pa.scalar(None)}
        found[field.name] = ColumnRange(column.null_count, bounds["min"].as_py(), bounds["max"].as_py())
    return found
