"""Fingerprints: XXH64 against its specification, rows against a plain Python reading of the definition."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spark import row_sums
from reco_platform.fingerprint.spec import RowSums, arrow_fields, fingerprint, schema_hash
from support.slow_fingerprint import ITEM, M64, SCHEMA, random_table, random_value, slow_sums, slow_xxh64, sums

TABLES = st.builds(random_table, st.integers(0, 2**32), st.integers(0, 12), st.sampled_from((0.0, 0.1, 0.6)))


def column_sums(kind: pa.DataType, *columns: list[Any]) -> RowSums:
    return sums(pa.table({f"c{i}": pa.array(values, kind) for i, values in enumerate(columns)}))


def kernel(data: bytes, seed: int) -> int:
    from reco_platform.fingerprint.kernels import xxh64

    return int(xxh64(np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8), 0, len(data), seed))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_xxh64_of_published_vectors(data: bytes, expected: int) -> None:
    assert kernel(data, 0) == slow_xxh64(data, 0) == expected


@given(st.binary(max_size=100), st.integers(0, M64))
@settings(deadline=None)
def test_xxh64_of_every_length(data: bytes, seed: int) -> None:
    assert kernel(data, seed) == slow_xxh64(data, seed)


@given(TABLES)
@settings(deadline=None, max_examples=60)
def test_sums_follow_the_definition(table: pa.Table) -> None:
    assert sums(table) == slow_sums(table)


@pytest.mark.slow
@given(TABLES, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_order_chunks_and_parts_do_not_matter(table: pa.Table, rng: random.Random) -> None:
    order = rng.sample(range(len(table)), len(table))
    cut = rng.randint(0, len(table))
    whole = sums(table)
    assert sums(table.take(pa.array(order, pa.int64()))) == whole
    assert sums(table.combine_chunks()) == whole
    assert sums(table.slice(0, cut)) + sums(table.slice(cut)) == whole
    assert arrow_sums(iter(table.to_batches(max_chunksize=3)), table.column_names) == whole


@pytest.mark.slow
@given(TABLES.filter(len), st.data())
@settings(deadline=None, max_examples=60)
def test_one_changed_value_or_one_more_row_changes_the_sums(table: pa.Table, data: st.DataObject) -> None:
    rows = table.to_pylist()
    at, field = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(list(SCHEMA)))
    before = scalar_text(rows[at][field.name])
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    changed = next(v for _ in range(100) if scalar_text(v := random_value(rng, field.type, 0.3)) != before)
    after = [*rows[:at], rows[at] | {field.name: changed}, *rows[at + 1 :]]
    assert sums(pa.Table.from_pylist(after, SCHEMA)).total != sums(table).total
    assert sums(pa.concat_tables([table, table.slice(at, 1)])).total != sums(table).total


def scalar_text(value: Any) -> str:
    return repr(value).replace("-0.0", "0.0")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (pa.string(), [[None]], [[""]]),
        (pa.string(), [["a"], ["b"]], [["b"], ["a"]]),
        (pa.string(), [["a"], [None]], [[None], ["a"]]),
        (pa.string(), [["ab"], ["c"]], [["a"], ["bc"]]),
        (pa.int32(), [[1, 2], [3, 4]], [[1, 2], [4, 3]]),
        (pa.int32(), [[None]], [[0]]),
        (pa.list_(pa.int32()), [[None]], [[[]]]),
        (pa.list_(pa.int32()), [[[None]]], [[[]]]),
        (pa.list_(pa.int32()), [[[None]]], [[None]]),
        (pa.list_(pa.int32()), [[[None, None]]], [[[1, 1]]]),
        (pa.list_(pa.int32()), [[[None, 1]]], [[[1, None]]]),
        (pa.list_(pa.int32()), [[[1, 2]]], [[[2, 1]]]),
        (pa.list_(pa.int32()), [[[1, 2]], [[3]]], [[[1]], [[2, 3]]]),
        (pa.list_(pa.int32()), [[[1]], [[]]], [[[]], [[1]]]),
        (pa.list_(pa.string()), [[["a", "bc"]]], [[["ab", "c"]]]),
        (pa.list_(pa.string()), [[[""]]], [[[None]]]),
        (pa.list_(pa.list_(pa.int32())), [[[[1], [2]]]], [[[[1, 2], []]]]),
        (pa.list_(pa.list_(pa.int32())), [[[[], None]]], [[[None, []]]]),
        (ITEM, [[None]], [[{}]]),
        (pa.list_(ITEM), [[[None]]], [[[{}]]]),
        (pa.list_(ITEM), [[[{"movie_id": 1, "rank": 2}]]], [[[{"movie_id": 2, "rank": 1}]]]),
        (pa.list_(ITEM), [[[{"movie_id": 1}]]], [[[{"rank": 1}]]]),
        (pa.list_(ITEM), [[[{"tags": ["a"]}, {"tags": []}]]], [[[{"tags": []}, {"tags": ["a"]}]]]),
    ],
)
def test_hazards_do_not_collide(kind: pa.DataType, one: list[Any], other: list[Any]) -> None:
    assert column_sums(kind, *one).total != column_sums(kind, *other).total


def test_zeros_and_nans_are_alike() -> None:
    for dtype, bits in ((np.float32, np.uint32(0xFFC00001)), (np.float64, np.uint64(0xFFF8000000000001))):
        odd = pa.array([float("-0.0"), 1.0, 2.0], pa.from_numpy_dtype(dtype))
        nan = pa.array(np.array([bits]).view(dtype))
        assert column_sums(odd.type, odd.to_pylist()) == column_sums(odd.type, [0.0, 1.0, 2.0])
        assert sums(pa.table({"c": nan})) == column_sums(nan.type, [math.nan])


@pytest.mark.parametrize(
    ("values", "plain", "other"),
    [
        (["a", None, "bcd"], pa.string(), pa.large_string()),
        (["a", None, "bcd"], pa.string(), pa.string_view()),
        (["a", None, "bcd"], pa.string(), pa.dictionary(pa.int32(), pa.string())),
        ([1, None, -3], pa.timestamp("us", "UTC"), pa.timestamp("us")),
        ([10**6, None], pa.timestamp("us", "UTC"), pa.timestamp("s", "UTC")),
        ([1, None, -3], pa.timestamp("us", "UTC"), pa.timestamp("ns", "Asia/Kolkata")),
        ([["a"], None, []], pa.list_(pa.string()), pa.large_list(pa.string_view())),
        ([[1.0, 2.0], None], pa.list_(pa.float32()), pa.list_(pa.float32(), 2)),
        ([[1, 2], [3]], pa.list_(pa.int32()), pa.list_(pa.field("element", pa.int32(), nullable=False))),
    ],
)
def test_layout_does_not_matter(values: list[Any], plain: pa.DataType, other: pa.DataType) -> None:
    one = pa.table({"c": pa.array(values, plain)})
    same = pa.table({"c": one["c"].cast(other)})
    assert sums(same) == sums(one)
    assert arrow_fields(same.schema) == arrow_fields(one.schema)


def test_elements_under_null_lists_do_not_matter() -> None:
    kind = pa.list_(pa.int32())
    hidden = pa.ListArray.from_arrays(
        pa.array([0, 1, 3, 4], pa.int32()),
        pa.array([1, 2, None, 4]).cast(pa.int32()),
        mask=pa.array([False, True, False]),
    )
    assert sums(pa.table({"c0": hidden})) == column_sums(kind, [[1], None, [4]])
    assert sums(pa.table({"c0": hidden.slice(1)})) == column_sums(kind, [None, [4]])


@pytest.mark.slow
def test_tables_longer_than_a_slice_and_wider_than_a_mask() -> None:
    long = pa.table({"c": pa.array([i if i % 3 else None for i in range(40_000)], pa.int64())})
    assert sums(long) == slow_sums(long)
    wide = [
        pa.table({f"c{i}": pa.array([None if i == null else 7], pa.int64()) for i in range(70)}) for null in (5, 36, 67)
    ]
    assert [sums(table) for table in wide] == [slow_sums(table) for table in wide]
    assert len({sums(table).total for table in wide}) == 3


@pytest.mark.parametrize("kind", [pa.decimal128(9, 2), pa.binary(), pa.uint32(), pa.null(), pa.list_(pa.date64())])
def test_other_types_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(TypeError, match="no fingerprint of the Arrow type"):
        sums(pa.table({"c": pa.array([None], kind)}))


def test_a_missing_column_and_a_lossy_timestamp_are_refused() -> None:
    with pytest.raises(KeyError):
        arrow_sums(pa.table({"a": [1]}), ["b"])
    with pytest.raises(pa.ArrowInvalid):
        column_sums(pa.timestamp("ns"), [1])


def test_spark_names_of_arrow_types() -> None:
    item = "struct<movie_id:int,score:float,rank:int,tags:array<string>>"
    expected = "boolean tinyint smallint int bigint float double string date timestamp array<string> array<string>"
    rest = ["array<float>", "array<boolean>", "array<timestamp>", f"array<{item}>", item, "array<array<int>>"]
    assert [name for _, name in arrow_fields(SCHEMA)] == [*expected.split(), *rest]


def test_fingerprints_differ_by_schema_rows_and_sums() -> None:
    tables = [pa.table({"c": pa.array([v], t)}) for v, t in ((1, pa.int32()), (1.0, pa.float32()), ("1", pa.string()))]
    hashes = [schema_hash(arrow_fields(table.schema)) for table in tables]
    same = RowSums(1, 2, 3)
    prints = {*(fingerprint(h, same) for h in hashes), fingerprint(hashes[0], RowSums(2, 2, 3))}
    prints |= {fingerprint(hashes[0], RowSums(1, 3, 3)), fingerprint(hashes[0], RowSums(1, 2, 4))}
    assert len(prints) == 6
    assert all(len(text) == 16 and int(text, 16) >= 0 for text in prints | set(hashes))
    assert schema_hash([("a", "int"), ("b", "int")]) != schema_hash([("b", "int"), ("a", "int")])
    assert row_sums({"fp_rows": 0, "fp_low": None, "fp_high": None}) == RowSums(0, 0, 0)


def test_the_import_is_light() -> None:
    heavy = "('pyspark', 'numba', 'pyarrow')"
    code = f"import sys, reco_platform.fingerprint.spec; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
