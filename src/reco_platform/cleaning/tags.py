"""How tags are cleaned. Equal tags are kept: a tag has no key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reco_platform.cleaning.rules import SECONDS, Cleaning, event_columns, event_rules, missing
from reco_platform.contracts import TAGS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def deduplicate(rows: DataFrame) -> DataFrame:
    from pyspark.sql.functions import expr  # noqa: PLC0415

    return rows.repartition("year", "month").withColumn("duplicate", expr("CAST(NULL AS STRING)"))


CLEANING = Cleaning(
    contract=TAGS,
    source=("userId", "movieId", "tag", "timestamp"),
    typed=event_columns("tag_ts"),
    rules={**event_rules(SECONDS), "null_tag": missing("tag"), "invalid_utf8": "NOT is_valid_utf8(tag)"},
    deduplicate=deduplicate,
    multiline=True,
)
