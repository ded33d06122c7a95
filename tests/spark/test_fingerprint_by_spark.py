"""Fingerprints that Spark computes equal those of Arrow and of the definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from reco_platform.fingerprint.spark import row_sums, spark_fields, spark_sums
from reco_platform.fingerprint.spec import arrow_fields
from support.slow_fingerprint import M64, random_table, slow_hash, sums

pytestmark = pytest.mark.spark


def test_row_hash_of_plain_columns_is_sparks_own(spark: Any) -> None:
    from pyspark.sql import functions as sf

    frame = spark.range(100).select(sf.col("id").cast("int").alias("i"), (sf.col("id") / 2).alias("d"))
    frame = frame.select("*", sf.lit("Nobody inspects the spammish repetition").alias("s"))
    own = [row.h & M64 for row in frame.select(sf.xxhash64(sf.lit(0), "i", "d", "s").alias("h")).collect()]
    table = frame.toArrow()
    assert [slow_hash(row, table.schema) for row in table.to_pylist()] == own
    assert sums(table).total == sum(own) & M64


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
