"""`reco sql --engine spark`: each Delta table is a view under its own name (ratings, movies, interactions, ...)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.lakehouse import layout, receipts
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline.steps_table import IDS, STEP_OF
from reco_platform.spark import jars, session, submit
from reco_platform.store.paths import StorePath

VIEWS = {
    **{table: layout.silver(table) for table in (*layout.TABLES, *IDS)},
    "interactions": STEP_OF["interactions"].artifact,
    "recommendations_als": STEP_OF["recommendations"].artifact,
}
"""The artifact of each view."""

MAX_ROWS, WIDTH = 100, 60


def tables(lakehouse: Lakehouse) -> dict[str, StorePath]:
    """The folder of each Delta table that is present, by the name of its view."""
    paths = {name: lakehouse.receipt(artifact) for name, artifact in VIEWS.items()}
    present = {name: receipts.read(path) for name, path in paths.items() if Path(path).is_file()}
    return {
        name: lakehouse.content(receipt.path).absolute()
        for name, receipt in present.items()
        if receipt.version is not None
    }


def show(lakehouse: Lakehouse, queries: Sequence[str]) -> None:
    """Prints the results of Spark SQL statements, up to 100 rows of each.

    Args:
        lakehouse: its tables are the views.
        queries: statements; {NAME} is replaced by the path of a table.

    Raises:
        DataError: if Delta's jars cannot be downloaded, or differ from the pinned ones.
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
        spark.sql(query.format_map(paths)).show(MAX_ROWS, truncate=WIDTH)


def start_java() -> None:
    """Configures this process so that its Spark session starts Java as `spark-submit` would, with Delta's jars."""
    threads, large = os.cpu_count() or 1, submit.SMALL_INPUT_BYTES
    _, *options = submit.submit_command(
        "pyspark-shell", [], threads=threads, memory="2g", input_bytes=large, options=jars.delta_options()
    )
    environment = submit.spark_environment()
    for name in submit.USER_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update({**environment, "PYSPARK_SUBMIT_ARGS": shlex.join(options)})
