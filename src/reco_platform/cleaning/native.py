"""Cleaning in threads of this process: text in, sorted Parquet out, without a JVM."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reco_platform.cleaning.quality import DUPLICATES, Cleaned, Span, file_order, has_order
from reco_platform.cleaning.rules import Checked, Cleaning, Mask, check
from reco_platform.contracts.tables import Contract
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spec import RowSums

COMPRESSION = "zstd"
BYTES_PER_CSV_BYTE = 5
"""Memory at its peak, of a byte of the CSV file."""

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Part:
    """What one file of the table holds."""

    sums: RowSums
    duplicates: dict[str, int]
    spans: dict[str, Span]


def clean(
    records: Iterable[pa.RecordBatch], cleaning: Cleaning, staging: Path, quarantine: Path, threads: int
) -> Cleaned:
    """Writes the good rows to `staging` and the rejected ones to `quarantine`, both as Parquet.

    Args:
        records: the source's, as `csvfile.records` gives them.
        cleaning: the rules.
        staging: an existing, empty folder.
        quarantine: the same.
        threads: at least 1; never changes the result.
    """
    good: list[pa.RecordBatch] = []
    rejected: list[pa.RecordBatch] = []
    reasons: Counter[str] = Counter()
    rows_in = 0
    contract = cleaning.contract
    with ThreadPoolExecutor(threads) as pool:
        for part in in_order(pool, lambda batch: check(batch, cleaning), records, ahead=threads):
            take(part, good, rejected)
            reasons.update(part.reasons)
            rows_in += part.rows
        table = pa.Table.from_batches(good).combine_chunks()
        good.clear()
        parts = list(
            pool.map(lambda place: write_part(table, place, cleaning, staging), places(table, contract.partition_by))
        )
    if rejected:
        pq.write_table(pa.Table.from_batches(rejected), quarantine / "part-00000.parquet", compression=COMPRESSION)
    return Cleaned(
        rows_in=rows_in,
        rejected=sum(map(len, rejected)),
        rejected_by_reason={rule: reasons[rule] for rule in cleaning.rules if reasons[rule]},
        duplicates={kind: sum(part.duplicates[kind] for part in parts) for kind in DUPLICATES},
        spans={name: sum((part.spans[name] for part in parts), Span()) for name in contract.names},
        sums=sum((part.sums for part in parts), RowSums(0, 0, 0)),
    )


def take(part: Checked, good: list[pa.RecordBatch], rejected: list[pa.RecordBatch]) -> None:
    good.append(part.good)
    if len(part.rejected):
        rejected.append(part.rejected)


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Given], Made], items: Iterable[Given], ahead: int
) -> Iterator[Made]:
    """Results in the order of the items, of which no more than `ahead` wait: a file need not fit in memory as text."""
    waiting: deque[Future[Made]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@dataclass(frozen=True)
class Location:
    """The rows of one partition: where they stand in the table, and the folder they go to."""

    rows: npt.NDArray[np.int64]
    folder: str


def places(table: pa.Table, partition_by: Sequence[str]) -> list[Location]:
    """The partitions, those with the most rows first, so that no thread is left with a long one at the end."""
    if not partition_by:
        return [Location(np.arange(len(table)), "")] if len(table) else []
    columns = [table[name].to_numpy() for name in partition_by]
    bases = [int(values.min(initial=0)) for values in columns]
    sizes = [int(values.max(initial=0)) - base + 1 for values, base in zip(columns, bases, strict=True)]
    codes = np.zeros(len(table), np.int64)
    for values, base, size in zip(columns, bases, sizes, strict=True):
        codes = codes * size + (values - base)
    if np.prod(sizes) <= 1 << 16:
        codes = codes.astype(np.uint16)  # which numpy sorts by counting
    order = np.argsort(codes, kind="stable")
    bounds = np.flatnonzero(np.diff(codes[order], prepend=codes[order[:1]] ^ 1, append=codes[order[-1:]] ^ 1))
    found = []
    for first, last in pairwise(bounds.tolist()):
        at = order[first]
        folder = "/".join(f"{name}={values[at]}" for name, values in zip(partition_by, columns, strict=True))
        found.append(Location(order[first:last], folder))
    return sorted(found, key=lambda place: -len(place.rows))


def write_part(table: pa.Table, place: Location, cleaning: Cleaning, staging: Path) -> Part:
    """Sorts and deduplicates the rows of one partition, writes them as one file, and says what it holds."""
    contract = cleaning.contract
    rows = table.take(pa.array(place.rows))
    keys = [(name, "ascending") for name in file_order(contract)]
    sortable = [
        (name, way) for name, way in (*keys, *cleaning.keep) if not pa.types.is_nested(rows.schema.field(name).type)
    ]
    rows = rows.take(pc.sort_indices(rows, sort_keys=sortable))
    duplicates = dict.fromkeys(DUPLICATES, 0)
    if contract.key:
        first = first_of_key(rows, contract.key)
        exact = equal_to_first(rows, contract, first)
        duplicates = {"exact": int(exact.sum()), "conflicting": int((~first).sum() - exact.sum())}
        if not first.all():
            rows = rows.filter(pa.array(first))
    rows = rows.select(contract.names)
    folder = staging / place.folder
    folder.mkdir(parents=True, exist_ok=True)
    written = rows.drop_columns(list(contract.partition_by)).cast(
        pa.schema([field for field in contract.schema if field.name not in contract.partition_by])
    )
    pq.write_table(written, folder / "part-00000.parquet", compression=COMPRESSION, row_group_size=1 << 20)
    return Part(arrow_sums(rows, contract.names), duplicates, spans(rows, contract))


def first_of_key(rows: pa.Table, key: Sequence[str]) -> Mask:
    """Whether a row of the sorted table is the first of its key."""
    first = np.zeros(len(rows), bool)
    first[:1] = True
    for name in key:
        values = rows[name].to_numpy()
        first[1:] |= values[1:] != values[:-1]
    return first


def equal_to_first(rows: pa.Table, contract: Contract, first: Mask) -> Mask:
    """Whether a row that is not the first of its key is equal to that one."""
    again = np.flatnonzero(~first)
    found = np.zeros(len(rows), bool)
    stays = np.flatnonzero(first)[np.cumsum(first)[again] - 1]
    equal = np.ones(len(again), bool)
    for field in contract.fields:
        if field.name not in contract.key and not pa.types.is_nested(field.type):
            one, other = (rows[field.name].take(pa.array(at)) for at in (again, stays))
            both_null = pc.and_(pc.is_null(one), pc.is_null(other))
            equal &= pc.or_(pc.equal(one, other).fill_null(False), both_null).to_numpy()
    found[again] = equal
    return found


def spans(rows: pa.Table, contract: Contract) -> dict[str, Span]:
    found = {}
    for field in contract.fields:
        column = rows[field.name]
        bounds = pc.min_max(column) if has_order(field.type) else {"min": pa.scalar(None), "max": pa.scalar(None)}
        found[field.name] = Span(column.null_count, bounds["min"].as_py(), bounds["max"].as_py())
    return found
