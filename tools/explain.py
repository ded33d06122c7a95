"""What a result was made from, back to the bytes of bronze, and what differs from it now."""

import argparse
import json
import sys

from reco_platform import lineage, workflow
from reco_platform.errors import reported


@reported
def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/explain.py", description=__doc__)
    parser.add_argument("result", nargs="?", default="report", help="such as report, run_metrics, model, ratings")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as for snakemake")
    arguments = parser.parse_args()
    flow = workflow.prepare(workflow.overrides(arguments.config))
    made = lineage.explain(flow.house, flow.config, arguments.result)
    print(json.dumps(made.as_json(), indent=1) if arguments.json else "\n".join(lineage.lines(made)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
