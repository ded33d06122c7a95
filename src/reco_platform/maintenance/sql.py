"""Spark SQL over a lakehouse's Delta tables, each a view under its own name (ratings, movies, interactions, ...)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.lakehouse import layout, receipts
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline.steps_table import STEP_OF
from reco_platform.spark import jars, session, submit
from reco_platform.store.paths import StorePath

VIEWS = {
    **{table: layout.silver(table) for table in layout.TABLES},
    "interactions": STEP_OF["interactions"].artifact,
    "recommendations_als": STEP_OF["recommendations"].artifact,
}
"""The artifact of each view."""

MOST_ROWS, WIDTH = 100, 60


def tables(lakehouse: Lakehouse) -> dict[str, StorePath]:
    """The folder of each Delta table that is present, by the name of its view."""
    found = {name: lakehouse.receipt(artifact) for name, artifact in VIEWS.items()}
    opened = {name: receipts.read(path) for name, path in found.items() if Path(path).is_file()}
    return {
        name: lakehouse.content(receipt.path).absolute()
        for name, receipt in opened.items()
        if receipt.version is not None
    }


def show(lakehouse: Lakehouse, queries: Sequence[str]) -> None:
    """Prints what statements of Spark SQL give, up to 100 rows of each.

    Args:
        lakehouse: whose tables are views.
        queries: statements, in which {NAME} stands for the path of a table.

    Raises:
        DataError: if Delta's jars cannot be downloaded, or are not those that were pinned.
        EnvironmentProblemError: if there is no suitable Java.
    """
    jars.download_jars()
    start_java()
    spark = session.spark_session("sql", RESULT_SETTINGS, "error")
    folders = tables(lakehouse)
    for name, folder in folders.items():
        spark.read.format("delta").load(str(folder)).createOrReplaceTempView(name)
    paths = {name: f"delta.`{folder}`" for name, folder in folders.items()}
    for query in queries:
        spark.sql(query.format_map(paths)).show(MOST_ROWS, truncate=WIDTH)


def start_java() -> None:
    """Sets up this process so that its Spark session starts a Java as `spark-submit` would, with Delta's jars."""
    threads, large = os.cpu_count() or 1, submit.SMALL_INPUT_BYTES
    _, *options = submit.submit_command(
        "pyspark-shell", [], threads=threads, memory="2g", input_bytes=large, options=jars.delta_options()
    )
    environment = submit.spark_environment()
    for name in submit.USER_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update({**environment, "PYSPARK_SUBMIT_ARGS": shlex.join(options)})
