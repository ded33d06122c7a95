"""Spark's history server over the event logs of a lakehouse, in the foreground; Ctrl-C ends it.

make history                                        # of the demo data
make history LAKEHOUSE=/data/lake
make history ARGS="--port 18081 --config dataset=ml-25m"
"""

import argparse
import sys

from reco_platform.core.errors import report_errors
from reco_platform.pipeline import workflow
from reco_platform.spark import history_server


@report_errors
def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/history.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=18080, help="on 127.0.0.1 (default: %(default)s)")
    parser.add_argument(
        "--config", nargs="*", action="extend", default=[], metavar="KEY=VALUE", help="as for snakemake"
    )
    arguments = parser.parse_args()
    lakehouse = workflow.prepare(workflow.overrides(arguments.config)).lakehouse
    history_server.serve(lakehouse.spark_events, arguments.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
