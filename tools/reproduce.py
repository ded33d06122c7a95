"""Rebuilds an earlier run from the table versions that it was made from, in a scratch folder, and compares."""

import argparse
import sys
import tempfile
from pathlib import Path

from reco_platform.core.errors import report_errors
from reco_platform.maintenance import reproduce
from reco_platform.pipeline import workflow


@report_errors
def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/reproduce.py", description=__doc__)
    parser.add_argument("run", help="a model version, or the path of a run_metrics JSON file")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as for snakemake")
    arguments = parser.parse_args()
    lakehouse = workflow.prepare(workflow.overrides(arguments.config)).lakehouse
    with tempfile.TemporaryDirectory(prefix="reproduce-") as scratch:
        say = lambda text: print(f"[reproduce] {text}", flush=True)  # noqa: E731
        compared = reproduce.reproduce(lakehouse, arguments.run, Path(scratch), say)
    print(reproduce.verdict(compared))
    if all(one.equal for one in compared):
        print(f"[SUCCESS] {arguments.run} was reproduced")
        return 0
    print(f"[ERROR] {arguments.run} came out different", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
