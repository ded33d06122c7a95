"""Spark settings that results depend on. They are code, so that a change of one changes the steps' code digests."""

from __future__ import annotations

RESULT_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.sources.partitionOverwriteMode": "static",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
}
"""Set in every session of the pipeline."""

ORDER_SETTINGS = ("spark.default.parallelism", "spark.memory.fraction", "spark.memory.storageFraction")
"""Not to be set by users: they silently change the order in which rows arrive, and ALS sums in that order."""
