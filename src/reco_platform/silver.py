"""One silver table from one CSV file: cleaned, checked, counted and fingerprinted in a single pass of Spark."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from reco_platform.cleaning.rules import LINE, Cleaning, all_rules, marked
from reco_platform.contracts import Contract, violations
from reco_platform.fingerprint import RowSums
from reco_platform.spark_fingerprint import row_sums, spark_fields, spark_sums
from reco_platform.storage import data_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


# Where no row is left it replaces the whole plan, observations included, and nothing would be counted.
DROPS_OBSERVATIONS = "org.apache.spark.sql.execution.adaptive.AQEPropagateEmptyRelation"


@dataclass(frozen=True)
class Cleaned:
    """What came out of cleaning: every row of the source is in exactly one of the counts."""

    rows_in: int
    rows_out: int
    rejected: int
    rejected_by_reason: dict[str, int]
    duplicates: dict[str, int]
    ranges: dict[str, dict[str, Any]]
    sums: RowSums

    def balances(self) -> bool:
        return self.rows_in == self.rows_out + self.rejected + sum(self.duplicates.values())


def clean(spark: SparkSession, parsed: Path, cleaning: Cleaning, staging: Path, quarantine: Path) -> Cleaned:
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
    rows = marked(spark.read.parquet(str(parsed)), cleaning)
    seen, kept, repeated = Observation(), Observation(), Observation()
    good = rows.observe(seen, *reason_counts(cleaning)).filter("reasons IS NULL")
    unique = cleaning.deduplicate(good).observe(
        repeated,
        f.expr("count_if(duplicate = 'exact')").alias("exact"),
        f.expr("count_if(duplicate = 'conflicting')").alias("conflicting"),
    )
    result = unique.filter("duplicate IS NULL").select(*result_columns(cleaning))
    check_schema(result, cleaning.contract)
    final = result.observe(kept, *spark_sums(cleaning.contract.names, result.schema), *range_columns(cleaning.contract))
    write(final, cleaning.contract, staging)
    counts = seen.get
    if counts["rejected"]:
        content = [f.expr(f"make_valid_utf8({name})").alias(name) for name in cleaning.source]
        columns = [*content, f.expr(f"make_valid_utf8({LINE})").alias("line"), f.col("reasons")]
        rows.filter("reasons IS NOT NULL").select(*columns).coalesce(1).write.mode("append").parquet(str(quarantine))
    sums = row_sums(kept.get)
    return Cleaned(
        rows_in=counts["rows_in"],
        rows_out=sums.rows,
        rejected=counts["rejected"],
        rejected_by_reason={reason: counts[reason] for reason in all_rules(cleaning) if counts[reason]},
        duplicates={kind: repeated.get[kind] for kind in ("exact", "conflicting")},
        ranges=ranges(kept.get, cleaning.contract),
        sums=sums,
    )


def reason_counts(cleaning: Cleaning) -> list[Any]:
    from pyspark.sql import functions as f  # noqa: PLC0415

    counts = [
        f.expr(f"count_if(reasons IS NOT NULL AND array_contains(reasons, '{reason}'))").alias(reason)
        for reason in all_rules(cleaning)
    ]
    return [f.count(f.lit(1)).alias("rows_in"), f.expr("count_if(reasons IS NOT NULL)").alias("rejected"), *counts]


def result_columns(cleaning: Cleaning) -> list[Any]:
    """The contract's columns; `rating` and `genres` are typed under other names until the rules are through."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    source = {"rating": "stars", "genres": "genre_list"}
    return [f.col(source.get(name, name)).alias(name) for name in cleaning.contract.names]


def check_schema(frame: DataFrame, contract: Contract) -> None:
    found = ", ".join(f"{name} {kind}" for name, kind in spark_fields(frame.schema))
    if found != contract.ddl:
        raise TypeError(f"cleaning of {contract.name} makes {found}; its contract says {contract.ddl}")


def range_columns(contract: Contract) -> list[Any]:
    from pyspark.sql import functions as f  # noqa: PLC0415

    columns = []
    for field in contract.fields:
        columns.append(f.count_if(f.col(field.name).isNull()).alias(f"nulls_{field.name}"))
        if not pa.types.is_nested(field.type) and not pa.types.is_string(field.type):
            columns += [f.min(field.name).alias(f"min_{field.name}"), f.max(field.name).alias(f"max_{field.name}")]
    return columns


def ranges(observed: Mapping[str, Any], contract: Contract) -> dict[str, dict[str, Any]]:
    """Share of nulls, least and greatest value of each column."""
    rows = max(observed["fp_rows"], 1)
    return {
        field.name: {
            "null_percent": round(100 * observed[f"nulls_{field.name}"] / rows, 6),
            **{bound: plain(observed[key]) for bound in ("min", "max") if (key := f"{bound}_{field.name}") in observed},
        }
        for field in contract.fields
    }


def plain(value: Any) -> Any:
    if value is None or isinstance(value, int | float | str):
        return value
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def write(frame: DataFrame, contract: Contract, staging: Path) -> None:
    """Writes sorted Parquet: one file a partition, or one file."""
    if contract.partition_by:
        order = [*contract.partition_by, *(name for name in contract.names if name not in contract.partition_by)]
        frame.sortWithinPartitions(*order).write.mode("append").partitionBy(*contract.partition_by).parquet(
            str(staging)
        )
    else:
        frame.coalesce(1).sortWithinPartitions(*contract.key).write.mode("append").parquet(str(staging))


def check_sample(contract: Contract, staging: Path, *, size: int, seed: int) -> tuple[int, list[str]]:
    """The contract on a seeded sample of staged files: how many rows were read, and what they break."""
    files = data_files(staging)
    random.Random(seed).shuffle(files)  # noqa: S311  # a sample, not a secret
    tables, rows = [], 0
    for path in files:
        table = pq.read_table(path, partitioning=None)
        for part in path.relative_to(staging).parts[:-1]:
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
    for field in contract.fields:
        if not field.nullable and cleaned.ranges[field.name]["null_percent"] > 0:
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
        "columns": cleaned.ranges,
        "sampled_rows": sampled,
    }
