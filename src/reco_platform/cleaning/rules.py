"""What cleaning rules are: named conditions in Spark SQL over the columns of a CSV file, read as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reco_platform.contracts import Contract

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LINE = "_line"  # the text of a line that has too few or too many fields; its columns are null
ROW = "_row"  # number of the record in its file, from 0
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that a timestamp column can hold


@dataclass(frozen=True)
class Cleaning:
    """How one table is cleaned.

    Attributes:
        contract: what the result promises.
        source: columns of the CSV file.
        typed: each column of the result (partition columns too) as Spark SQL over the source's columns.
        rules: condition, in Spark SQL over both, by the reason that it gives for rejecting a row.
        deduplicate: adds the column `duplicate`: null for rows that stay, else exact or conflicting.
        multiline: whether a quoted value may hold a newline.
    """

    contract: Contract
    source: tuple[str, ...]
    typed: Mapping[str, str]
    rules: Mapping[str, str]
    deduplicate: Callable[[DataFrame], DataFrame]
    multiline: bool


def marked(raw: DataFrame, cleaning: Cleaning) -> DataFrame:
    """The source's rows with typed columns, and `reasons`: null for good rows, else every rule that a row breaks."""
    from pyspark.sql.functions import expr  # noqa: PLC0415

    typed = raw
    for name, formula in cleaning.typed.items():
        typed = typed.withColumn(name, expr(formula))
    broken = {reason: f"coalesce({condition}, false)" for reason, condition in all_rules(cleaning).items()}
    found = ", ".join(f"CASE WHEN {condition} THEN '{reason}' END" for reason, condition in broken.items())
    return typed.withColumn(
        "reasons", expr(f"CASE WHEN {' OR '.join(broken.values())} THEN array_compact(array({found})) END")
    )


def all_rules(cleaning: Cleaning) -> dict[str, str]:
    return {"malformed_line": f"{LINE} IS NOT NULL", **cleaning.rules}


def missing(column: str) -> str:
    return f"trim({column}) = ''"


def not_a_number(source: str, typed: str) -> str:
    return f"trim({source}) <> '' AND {typed} IS NULL"


def event_rules(seconds: str) -> dict[str, str]:
    """Rules for the columns that ratings and tags share."""
    return {
        "null_user": missing("userId"),
        "user_not_a_number": not_a_number("userId", "user_id"),
        "negative_user": "user_id < 0",
        "null_movie": missing("movieId"),
        "movie_not_a_number": not_a_number("movieId", "movie_id"),
        "negative_movie": "movie_id < 0",
        "null_timestamp": missing("timestamp"),
        "timestamp_not_a_number": f"trim(timestamp) <> '' AND {seconds} IS NULL",
        "timestamp_out_of_range": f"{seconds} < 0 OR {seconds} > {LAST_SECOND}",
    }


def event_columns(moment: str) -> dict[str, str]:
    """Typed columns that ratings and tags share; `moment` names the timestamp column."""
    seconds = "try_cast(timestamp AS BIGINT)"
    return {
        "user_id": "try_cast(userId AS INT)",
        "movie_id": "try_cast(movieId AS INT)",
        moment: f"CASE WHEN {seconds} BETWEEN 0 AND {LAST_SECOND} THEN timestamp_seconds({seconds}) END",
        "year": f"year({moment})",
        "month": f"month({moment})",
    }


SECONDS = "try_cast(timestamp AS BIGINT)"
