"""Clean a table with Spark, for data that do not fit in one machine's memory: the same rules, in one shuffle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reco_platform.cleaning.quality import DUPLICATES, CleaningResult, ColumnRange, has_order, sort_columns
from reco_platform.cleaning.rules import CleaningRules, check_batch, rejected_schema
from reco_platform.contracts.tables import Contract, Field
from reco_platform.fingerprint.spark import row_sums, spark_fields, spark_sums
from reco_platform.fingerprint.spec import arrow_type
from reco_platform.store.paths import StorePath

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# This rule replaces a plan without rows by an empty one, which drops the observations, so that nothing is counted.
OBSERVATION_DROPPING_RULE = "org.apache.spark.sql.execution.adaptive.AQEPropagateEmptyRelation"


def clean(
    spark: SparkSession, parsed: StorePath, rules: CleaningRules, staging: StorePath, quarantine: StorePath
) -> CleaningResult:
    """Writes the accepted rows to `staging` and the rejected ones to `quarantine`, both as Parquet.

    Args:
        spark: the session.
        parsed: the source's records as text, from `csv_reader.convert_to_parquet`.
        rules: of the table.
        staging: an existing, empty folder.
        quarantine: an existing, empty folder.
    """
    from pyspark.sql import Observation  # noqa: PLC0415
    from pyspark.sql import functions as f  # noqa: PLC0415

    spark.conf.set("spark.sql.adaptive.optimizer.excludedRules", OBSERVATION_DROPPING_RULE)
    contract = rules.contract
    kept, repeated = Observation(), Observation()
    source = spark.read.parquet(uri(parsed))
    rows = source.mapInArrow(batch_checker(rules), ddl(checked_schema(rules)))
    accepted = rows.filter(f"{SOURCE}reasons IS NULL")
    # Observed only in the tasks that write: rows observed before a shuffle count twice if an executor is lost.
    unique = mark_duplicates(accepted, rules).observe(
        repeated, *(f.count_if(f.col("duplicate") == kind).alias(kind) for kind in DUPLICATES)
    )
    result = unique.filter("duplicate IS NULL").select(*contract.names)
    check_schema(result, contract)
    final = result.observe(kept, *spark_sums(contract.names, result.schema), *range_columns(contract))
    write(final, rules, staging)
    rows_in, sums = source.count(), row_sums(kept.get)
    duplicates = {kind: repeated.get[kind] for kind in DUPLICATES}
    reasons = {"rejected": 0}
    if rows_in > sums.rows + sum(duplicates.values()):
        columns = [f.col(SOURCE + name).alias(name) for name in rejected_schema(rules).names]
        rejected = rows.filter(f"{SOURCE}reasons IS NOT NULL").select(*columns)
        rejected.coalesce(1).write.mode("append").parquet(uri(quarantine))
        reasons = spark.read.parquet(uri(quarantine)).agg(*reason_counts(rules)).collect()[0].asDict()
    return CleaningResult(
        rows_in=rows_in,
        rejected=reasons["rejected"],
        rejected_by_reason={reason: reasons[reason] for reason in rules.rule_names if reasons.get(reason)},
        duplicates=duplicates,
        ranges=column_ranges(kept.get, contract),
        sums=sums,
    )


def uri(path: StorePath) -> str:
    """A URI that names the same path on every executor, whatever Spark's default file system is."""
    return path.absolute().as_uri()


SOURCE = "source_"  # prefix of the columns of rejected rows, because the table has some of the same names


def checked_schema(rules: CleaningRules) -> pa.Schema:
    """The columns of accepted rows, then those of rejected rows; in each row one group is null."""
    table = [*rules.contract.schema, *(pa.field(name, pa.int64()) for name in rules.order_columns)]
    text = [field.with_name(SOURCE + field.name) for field in rejected_schema(rules)]
    return pa.schema([*table, *text])


def ddl(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {arrow_type(field.type)}" for field in schema)


def batch_checker(rules: CleaningRules) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that applies the rules in Spark's tasks."""
    schema = checked_schema(rules)

    def check(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            checked = check_batch(batch, rules)
            rejected = checked.rejected.rename_columns([SOURCE + name for name in checked.rejected.schema.names])
            for rows in (checked.accepted, rejected):
                columns = dict(zip(rows.schema.names, rows.columns, strict=True))
                filled = [columns.get(field.name, pa.nulls(len(rows), field.type)) for field in schema]
                yield pa.record_batch(filled, schema=schema)

    return check


def mark_duplicates(rows: DataFrame, rules: CleaningRules) -> DataFrame:
    """Adds the column `duplicate`: null for rows that are kept, otherwise exact or conflicting.

    The partition columns depend on the key. With them in the window, the shuffle that the write needs is the only one.
    """
    from pyspark.sql import Window  # noqa: PLC0415
    from pyspark.sql import functions as f  # noqa: PLC0415

    contract = rules.contract
    partitioned = rows.repartition(*contract.partition_by) if contract.partition_by else rows
    if not contract.key:
        return partitioned.withColumn("duplicate", f.lit(None).cast("string"))
    order = [f.col(name).desc() if way == "descending" else f.col(name) for name, way in rules.keep_first]
    window = Window.partitionBy(*contract.partition_by, *contract.key).orderBy(*order)
    values = f.struct(*(name for name in contract.names if name not in {*contract.key, *contract.partition_by}))
    kind = f.when(f.first(values).over(window).eqNullSafe(values), "exact").otherwise("conflicting")
    return partitioned.withColumn("duplicate", f.when(f.row_number().over(window) > 1, kind))


def reason_counts(rules: CleaningRules) -> list[Column]:
    from pyspark.sql import functions as f  # noqa: PLC0415

    counts = [f.count_if(f.array_contains("reasons", rule)).alias(rule) for rule in rules.rule_names]
    return [f.count(f.lit(1)).alias("rejected"), *counts]


def check_schema(frame: DataFrame, contract: Contract) -> None:
    found = ", ".join(f"{name} {kind}" for name, kind in spark_fields(frame.schema))
    if found != contract.ddl:
        raise TypeError(f"cleaning {contract.name} gives the columns {found}, but its contract has {contract.ddl}")


def range_columns(contract: Contract) -> list[Column]:
    from pyspark.sql import functions as f  # noqa: PLC0415

    columns = []
    for field in contract.fields:
        columns.append(f.count_if(f.col(field.name).isNull()).alias(f"nulls_{field.name}"))
        if has_order(field.type):
            # Python would get timestamps in the time zone of the machine.
            values = f.unix_micros(field.name) if pa.types.is_timestamp(field.type) else f.col(field.name)
            columns += [f.min(values).alias(f"min_{field.name}"), f.max(values).alias(f"max_{field.name}")]
    return columns


def column_ranges(observed: Mapping[str, Any], contract: Contract) -> dict[str, ColumnRange]:
    def bound(which: str, field: Field) -> Any:
        return pa.scalar(observed.get(f"{which}_{field.name}"), field.type).as_py() if has_order(field.type) else None

    return {
        field.name: ColumnRange(observed[f"nulls_{field.name}"], bound("min", field), bound("max", field))
        for field in contract.fields
    }


def write(frame: DataFrame, rules: CleaningRules, staging: StorePath) -> None:
    """Writes sorted Parquet: one file for each partition, or one file."""
    contract = rules.contract
    if contract.partition_by:
        order = [*contract.partition_by, *sort_columns(contract)]
        rows = frame.sortWithinPartitions(*order).write.partitionBy(*contract.partition_by)
    else:
        rows = frame.coalesce(1).sortWithinPartitions(*sort_columns(contract)).write
    rows.mode("append").parquet(uri(staging))
