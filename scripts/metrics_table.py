"""Every metric of a run as CSV, one a line, for those who plot."""

import sys

from reco_platform import layout, metrics, reporting
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run


def work(task: Task) -> Receipt:
    found = reporting.read_json(task.path("run_metrics"))
    version = found["model_version"]
    return task.publish_file(layout.metrics_table(version), metrics.table(found), {"model_version": version})


if __name__ == "__main__":
    sys.exit(run("metrics_table", __doc__, work))
