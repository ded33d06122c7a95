"""Cleaning by Spark, for what one machine's memory cannot hold: the same rules in tasks, one shuffle, one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reco_platform.cleaning.quality import DUPLICATES, Cleaned, Span, file_order, has_order
from reco_platform.cleaning.rules import Cleaning, check, rejected_schema
from reco_platform.contracts.tables import Contract, Field
from reco_platform.fingerprint.spark import row_sums, spark_fields, spark_sums
from reco_platform.fingerprint.spec import arrow_type
from reco_platform.store.paths import StorePath

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# Where no row is left it replaces the whole plan, observations included, and nothing would be counted.
DROPS_OBSERVATIONS = "org.apache.spark.sql.execution.adaptive.AQEPropagateEmptyRelation"


def clean(
    spark: SparkSession, parsed: StorePath, cleaning: Cleaning, staging: StorePath, quarantine: StorePath
) -> Cleaned:
    """Writes the good rows to `staging` and the rejected ones to `quarantine`, both as Parquet.

    Args:
        spark: the session.
        parsed: the source's records as text (see csvfile.to_parquet).
        cleaning: the rules.
        staging: an existing, empty folder.
        quarantine: the same.
    """
    from pyspark.sql import Observation  # noqa: PLC0415
    from pyspark.sql import functions as f  # noqa: PLC0415

    spark.conf.set("spark.sql.adaptive.optimizer.excludedRules", DROPS_OBSERVATIONS)
    contract = cleaning.contract
    kept, repeated = Observation(), Observation()
    source = spark.read.parquet(uri(parsed))
    rows = source.mapInArrow(checks(cleaning), ddl(checked_schema(cleaning)))
    good = rows.filter(f"{SOURCE}reasons IS NULL")
    # Observed in the tasks that write alone: what is observed before a shuffle counts twice if an executor is lost.
    unique = deduplicated(good, cleaning).observe(
        repeated, *(f.count_if(f.col("duplicate") == kind).alias(kind) for kind in DUPLICATES)
    )
    result = unique.filter("duplicate IS NULL").select(*contract.names)
    check_schema(result, contract)
    final = result.observe(kept, *spark_sums(contract.names, result.schema), *span_columns(contract))
    write(final, cleaning, staging)
    rows_in, sums = source.count(), row_sums(kept.get)
    duplicates = {kind: repeated.get[kind] for kind in DUPLICATES}
    reasons = {"rejected": 0}
    if rows_in > sums.rows + sum(duplicates.values()):
        columns = [f.col(SOURCE + name).alias(name) for name in rejected_schema(cleaning).names]
        rejected = rows.filter(f"{SOURCE}reasons IS NOT NULL").select(*columns)
        rejected.coalesce(1).write.mode("append").parquet(uri(quarantine))
        reasons = spark.read.parquet(uri(quarantine)).agg(*reason_counts(cleaning)).collect()[0].asDict()
    return Cleaned(
        rows_in=rows_in,
        rejected=reasons["rejected"],
        rejected_by_reason={reason: reasons[reason] for reason in cleaning.rules if reasons.get(reason)},
        duplicates=duplicates,
        spans=spans(kept.get, contract),
        sums=sums,
    )


def uri(path: StorePath) -> str:
    """An address that means the same to every executor, whatever Spark's own file system is."""
    return path.absolute().as_uri()


SOURCE = "source_"  # before the names of the rejected rows' columns, some of which the table has too


def checked_schema(cleaning: Cleaning) -> pa.Schema:
    """A good row has the table's columns, a rejected one its text; what a row does not have is null."""
    table = [*cleaning.contract.schema, *(pa.field(name, pa.int64()) for name in cleaning.tie_columns)]
    text = [field.with_name(SOURCE + field.name) for field in rejected_schema(cleaning)]
    return pa.schema([*table, *text])


def ddl(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {arrow_type(field.type)}" for field in schema)


def checks(cleaning: Cleaning) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The rules, as Spark's tasks run them."""
    schema = checked_schema(cleaning)

    def checked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            part = check(batch, cleaning)
            rejected = part.rejected.rename_columns([SOURCE + name for name in part.rejected.schema.names])
            for rows in (part.good, rejected):
                columns = dict(zip(rows.schema.names, rows.columns, strict=True))
                filled = [columns.get(field.name, pa.nulls(len(rows), field.type)) for field in schema]
                yield pa.record_batch(filled, schema=schema)

    return checked


def deduplicated(rows: DataFrame, cleaning: Cleaning) -> DataFrame:
    """With the column `duplicate`: null for rows that stay, else exact or conflicting.

    Partitions follow from the key; with them in the window, the one shuffle that the write needs serves here too.
    """
    from pyspark.sql import Window  # noqa: PLC0415
    from pyspark.sql import functions as f  # noqa: PLC0415

    contract = cleaning.contract
    placed = rows.repartition(*contract.partition_by) if contract.partition_by else rows
    if not contract.key:
        return placed.withColumn("duplicate", f.lit(None).cast("string"))
    order = [f.col(name).desc() if way == "descending" else f.col(name) for name, way in cleaning.keep]
    window = Window.partitionBy(*contract.partition_by, *contract.key).orderBy(*order)
    values = f.struct(*(name for name in contract.names if name not in {*contract.key, *contract.partition_by}))
    kind = f.when(f.first(values).over(window).eqNullSafe(values), "exact").otherwise("conflicting")
    return placed.withColumn("duplicate", f.when(f.row_number().over(window) > 1, kind))


def reason_counts(cleaning: Cleaning) -> list[Column]:
    from pyspark.sql import functions as f  # noqa: PLC0415

    counts = [f.count_if(f.array_contains("reasons", rule)).alias(rule) for rule in cleaning.rules]
    return [f.count(f.lit(1)).alias("rejected"), *counts]


def check_schema(frame: DataFrame, contract: Contract) -> None:
    found = ", ".join(f"{name} {kind}" for name, kind in spark_fields(frame.schema))
    if found != contract.ddl:
        raise TypeError(f"cleaning of {contract.name} makes {found}; its contract says {contract.ddl}")


def span_columns(contract: Contract) -> list[Column]:
    from pyspark.sql import functions as f  # noqa: PLC0415

    columns = []
    for field in contract.fields:
        columns.append(f.count_if(f.col(field.name).isNull()).alias(f"nulls_{field.name}"))
        if has_order(field.type):
            # Python would be given moments in the machine's own time zone.
            values = f.unix_micros(field.name) if pa.types.is_timestamp(field.type) else f.col(field.name)
            columns += [f.min(values).alias(f"min_{field.name}"), f.max(values).alias(f"max_{field.name}")]
    return columns


def spans(observed: Mapping[str, Any], contract: Contract) -> dict[str, Span]:
    def bound(which: str, field: Field) -> Any:
        return pa.scalar(observed.get(f"{which}_{field.name}"), field.type).as_py() if has_order(field.type) else None

    return {
        field.name: Span(observed[f"nulls_{field.name}"], bound("min", field), bound("max", field))
        for field in contract.fields
    }


def write(frame: DataFrame, cleaning: Cleaning, staging: StorePath) -> None:
    """Writes sorted Parquet: one file a partition, or one file."""
    contract = cleaning.contract
    if contract.partition_by:
        order = [*contract.partition_by, *file_order(contract)]
        rows = frame.sortWithinPartitions(*order).write.partitionBy(*contract.partition_by)
    else:
        rows = frame.coalesce(1).sortWithinPartitions(*file_order(contract)).write
    rows.mode("append").parquet(uri(staging))
