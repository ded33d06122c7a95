"""Runs Spark SQL over a lakehouse's Delta tables, each a view under its own name (ratings, movies, interactions, ...).

make sql ARGS='"SELECT year, count(*) FROM ratings GROUP BY year"'
make sql ARGS='"DESCRIBE HISTORY {ratings}"'        # {ratings} is the table's path
"""

import argparse
import os
import sys
from pathlib import Path

from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.core.errors import report_errors
from reco_platform.lakehouse import layout, receipts
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline import workflow
from reco_platform.pipeline.steps_table import STEP_OF
from reco_platform.spark import jars, session, submit
from reco_platform.store.paths import StorePath

PLACES = {
    **{table: layout.silver(table) for table in layout.TABLES},
    "interactions": STEP_OF["interactions"].artifact,
    "recommendations_als": STEP_OF["recommendations"].artifact,
}


def tables(lakehouse: Lakehouse) -> dict[str, StorePath]:
    """The Delta tables that are there: folder by name."""
    found = {name: lakehouse.receipt(artifact) for name, artifact in PLACES.items()}
    opened = {name: receipts.read(path) for name, path in found.items() if Path(path).is_file()}
    return {
        name: lakehouse.content(receipt.path).absolute()
        for name, receipt in opened.items()
        if receipt.version is not None
    }


@report_errors
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("query", nargs="+", help="a statement of Spark SQL")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as for snakemake")
    arguments = parser.parse_args()
    if not submit.in_spark_submit():
        threads, large = os.cpu_count() or 1, submit.SMALL_INPUT_BYTES
        options = jars.delta_options()
        command = submit.submit_command(
            "tools/sql.py", sys.argv[1:], threads=threads, memory="2g", input_bytes=large, options=options
        )
        submit.exec_spark_submit(command)
    lakehouse = workflow.prepare(workflow.overrides(arguments.config)).lakehouse
    places = tables(lakehouse)
    spark = session.spark_session("sql", RESULT_SETTINGS, "error")
    for name, folder in places.items():
        spark.read.format("delta").load(str(folder)).createOrReplaceTempView(name)
    paths = {name: f"delta.`{folder}`" for name, folder in places.items()}
    for query in arguments.query:
        spark.sql(query.format_map(paths)).show(100, truncate=60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
