"""Fingerprints: XXH64 against its specification, rows against a plain Python reading of the definition, and Spark."""

from __future__ import annotations

import math
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spark import row_sums, spark_fields, spark_sums
from reco_platform.fingerprint.spec import RowSums, arrow_fields, fingerprint, schema_hash

M64 = 2**64 - 1
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5

ITEM = pa.struct(
    [("movie_id", pa.int32()), ("score", pa.float32()), ("rank", pa.int32()), ("tags", pa.list_(pa.utf8()))]
)
SCHEMA = pa.schema(
    [
        ("flag", pa.bool_()),
        ("tiny", pa.int8()),
        ("small", pa.int16()),
        ("number", pa.int32()),
        ("big", pa.int64()),
        ("single", pa.float32()),
        ("double", pa.float64()),
        ("text", pa.string()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("words", pa.list_(pa.string())),
        ("other_words", pa.list_(pa.string())),
        ("vector", pa.list_(pa.float32())),
        ("bits", pa.list_(pa.bool_())),
        ("times", pa.list_(pa.timestamp("us", "UTC"))),
        ("items", pa.list_(ITEM)),
        ("item", ITEM),
        ("matrix", pa.list_(pa.list_(pa.int32()))),
    ]
)


# --- The definition once more, slowly: one function an idea, over Python values.


def rotate(value: int, count: int) -> int:
    return (value << count | value >> (64 - count)) & M64


def slow_round(lane: int, word: int) -> int:
    return rotate((lane + word * P2) & M64, 31) * P1 & M64


def slow_xxh64(data: bytes, seed: int) -> int:
    h, at = (seed + P5) & M64, 0
    if len(data) >= 32:
        lanes = [(seed + P1 + P2) & M64, (seed + P2) & M64, seed, (seed - P1) & M64]
        for at in range(0, len(data) - 31, 32):
            lanes = [slow_round(*pair) for pair in zip(lanes, struct.unpack_from("<4Q", data, at), strict=True)]
        at += 32
        h = sum(rotate(lane, k) for lane, k in zip(lanes, (1, 7, 12, 18), strict=True)) & M64
        for lane in lanes:
            h = ((h ^ slow_round(0, lane)) * P1 + P4) & M64
    h = (h + len(data)) & M64
    for at in range(at, len(data) - 7, 8):  # noqa: B020 - goes on from where the lanes ended
        h = (rotate(h ^ slow_round(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & M64
    at = len(data) & -8
    if at + 4 <= len(data):
        h = (rotate(h ^ (struct.unpack_from("<I", data, at)[0] * P1 & M64), 23) * P2 + P3) & M64
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ (byte * P5 & M64), 11) * P1 & M64
    h = (h ^ h >> 33) * P2 & M64
    h = (h ^ h >> 29) * P3 & M64
    return h ^ h >> 32


def scalar_bytes(value: Any, kind: pa.DataType) -> bytes:
    if kind == pa.string():
        return str(value).encode()
    if kind in (pa.float32(), pa.float64()):
        value = math.nan if math.isnan(value) else value + 0.0
        return struct.pack("<f" if kind == pa.float32() else "<d", value)
    if kind == pa.date32():
        value = (value - date(1970, 1, 1)).days
    if pa.types.is_timestamp(kind):
        value = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return struct.pack("<q" if kind.bit_width == 64 else "<i", value)


def slow_nodes(values: list[Any], kind: pa.DataType, depth: int) -> Iterator[tuple[bool, list[bytes]]]:
    """(null, chained bytes) of each node: `values` are one row's, those of all arrays around them run together."""
    null = any(value is None for value in values)
    chained = [struct.pack("<i", value is None) for value in values] if null and depth else []
    present = [value for value in values if value is not None]
    if pa.types.is_struct(kind):
        yield null, chained
        for field in kind:
            yield from slow_nodes([value and value[field.name] for value in values], field.type, depth)
    elif pa.types.is_list(kind):
        yield null, chained + [struct.pack("<i", len(value)) for value in present]
        yield from slow_nodes([x for value in present for x in value], kind.value_type, depth + 1)
    else:
        yield null, chained + [scalar_bytes(value, kind) for value in present]


def slow_hash(row: dict[str, Any], schema: pa.Schema) -> int:
    nodes = [node for field in schema for node in slow_nodes([row[field.name]], field.type, 0)]
    masks = [sum(null << i for i, (null, _) in enumerate(nodes[k : k + 31])) for k in range(0, len(nodes), 31)]
    h = 42
    for word in [*(struct.pack("<i", mask) for mask in masks), *(word for _, words in nodes for word in words)]:
        h = slow_xxh64(word, h)
    return h


def slow_sums(table: pa.Table) -> RowSums:
    hashes = [slow_hash(row, table.schema) for row in table.to_pylist()]
    return RowSums(len(hashes), sum(h & 0xFFFFFFFF for h in hashes), sum(h >> 32 for h in hashes))


# --- Random tables


def random_value(rng: random.Random, kind: pa.DataType, nulls: float) -> Any:
    if rng.random() < nulls:
        return None
    if pa.types.is_list(kind):
        return [random_value(rng, kind.value_type, nulls) for _ in range(rng.choice((0, 1, 2, 5)))]
    if pa.types.is_struct(kind):
        return {field.name: random_value(rng, field.type, nulls) for field in kind}
    return random_scalar(rng, kind)


def random_scalar(rng: random.Random, kind: pa.DataType) -> Any:
    if kind in (pa.float32(), pa.float64()):
        return rng.choice((0.0, -0.0, math.nan, math.inf, -math.inf, 0.5, rng.randrange(-(10**6), 10**6) / 64))
    if kind == pa.string():
        return "".join(rng.choice("ab\0é漢🎬") for _ in range(rng.choice((0, 1, 3, 4, 8, 15, 40))))
    if kind == pa.date32():
        return date(1970, 1, 1) + timedelta(days=rng.randrange(-20_000, 40_000))
    if pa.types.is_timestamp(kind):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.randrange(-(10**15), 10**16))
    if kind == pa.bool_():
        return rng.random() < 0.5
    limit = 2 ** (kind.bit_width - 1)
    return rng.choice((-limit, limit - 1, 0, rng.randrange(-limit, limit)))


def random_table(seed: int, rows: int, nulls: float, schema: pa.Schema = SCHEMA) -> pa.Table:
    """Some chunks, each a slice that starts inside its buffers."""
    rng = random.Random(seed)
    chunks: list[pa.Table] = []
    left = rows
    while left or not chunks:
        size, skip = rng.randint(min(1, left), left), rng.randrange(12)
        made = [{f.name: random_value(rng, f.type, nulls) for f in schema} for _ in range(skip + size + 1)]
        chunks.append(pa.Table.from_pylist(made, schema).slice(skip, size))
        left -= size
    return pa.concat_tables(chunks)


TABLES = st.builds(random_table, st.integers(0, 2**32), st.integers(0, 12), st.sampled_from((0.0, 0.1, 0.6)))


def sums(table: pa.Table) -> RowSums:
    return arrow_sums(table, table.column_names)


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


# --- Spark


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        for key in ("spark.driver.bindAddress", "spark.driver.host"):
            builder = builder.config(key, "127.0.0.1")
        builder = builder.config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        session = running or builder.getOrCreate()
        yield session
        if running is None:
            session.stop()


@pytest.mark.spark
def test_row_hash_of_plain_columns_is_sparks_own(spark: Any) -> None:
    from pyspark.sql import functions as sf

    frame = spark.range(100).select(sf.col("id").cast("int").alias("i"), (sf.col("id") / 2).alias("d"))
    frame = frame.select("*", sf.lit("Nobody inspects the spammish repetition").alias("s"))
    own = [row.h & M64 for row in frame.select(sf.xxhash64(sf.lit(0), "i", "d", "s").alias("h")).collect()]
    table = frame.toArrow()
    assert [slow_hash(row, table.schema) for row in table.to_pylist()] == own
    assert sums(table).total == sum(own) & M64


@pytest.mark.spark
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("timestamps", ["INT96", "TIMESTAMP_MICROS"])
def test_spark_and_arrow_agree(spark: Any, tmp_path: Path, zone: str, timestamps: str) -> None:
    from pyspark.sql import Observation

    spark.conf.set("spark.sql.session.timeZone", zone)
    spark.conf.set("spark.sql.parquet.outputTimestampType", timestamps)
    source, written = str(tmp_path / "source.parquet"), str(tmp_path / "written")
    pq.write_table(random_table(7, 2_000, 0.15), source)
    frame = spark.read.parquet(source)
    observation = Observation()
    aggregates = spark_sums(frame.columns, frame.schema)
    frame.observe(observation, *aggregates).write.parquet(written)
    table = pq.read_table(written, coerce_int96_timestamp_unit="us")
    expected = sums(table)
    assert expected == sums(pq.read_table(source))
    assert expected.rows == 2_000
    assert row_sums(observation.get) == expected
    assert row_sums(frame.agg(*aggregates).first().asDict()) == expected
    assert spark_fields(frame.schema) == arrow_fields(table.schema)


@pytest.mark.spark
def test_nullability_in_spark_does_not_matter(spark: Any) -> None:
    from pyspark.sql.types import ArrayType, StructType

    def required(kind: Any) -> Any:
        if isinstance(kind, ArrayType):
            return ArrayType(required(kind.elementType), containsNull=False)
        if isinstance(kind, StructType):
            return StructType([type(f)(f.name, required(f.dataType), nullable=False) for f in kind.fields])
        return kind

    frame = spark.createDataFrame(random_table(3, 50, 0.0))
    strict = spark.createDataFrame(frame.rdd, required(frame.schema))
    got = []
    for same in (frame, strict):
        got.append(row_sums(same.agg(*spark_sums(same.columns, same.schema)).first().asDict()))
    assert got[0] == got[1] == sums(random_table(3, 50, 0.0))
    fast = [str(column) for column in spark_sums(["number", "words"], strict.schema)]
    assert not any("lambda" in text or "isnull" in text.lower() for text in fast)


@pytest.mark.spark
def test_odd_names_empty_frames_and_refused_types(spark: Any) -> None:
    names = ("a.b", "x`y", "it's {} \\ q")
    frame = spark.sql("select array(struct(1 as f, 'z' as g)) as a, 5 as f").alias("a").toDF("a", "f")
    schema = ", ".join(f"`{name.replace('`', '``')}`: int" for name in names)
    odd = spark.sql(f"select 1 as `a.b`, from_json('{{}}', 'struct<f: int>') as s, cast(null as struct<{schema}>) as t")
    for each in (frame, frame.alias("a"), odd, frame.limit(0)):
        seen = row_sums(each.agg(*spark_sums(each.columns, each.schema)).first().asDict())
        assert seen == sums(each.toArrow())
    with pytest.raises(TypeError, match=r"Spark type decimal\(3,1\)"):
        decimals = spark.sql("select 10.5 as c")
        spark_sums(["c"], decimals.schema)
    with pytest.raises(KeyError):
        spark_sums(["none"], frame.schema)
