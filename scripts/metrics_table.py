"""Every metric of a run as CSV, one a line, for those who plot."""

import sys

from reco_platform.engine.runner import Task, run
from reco_platform.evaluation import metrics_file
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.reports import text_summary


def work(task: Task) -> Receipt:
    found = text_summary.read_json(task.path("run_metrics"))
    version = found["model_version"]
    return task.publish_file(layout.metrics_table(version), metrics_file.table(found), {"model_version": version})


if __name__ == "__main__":
    sys.exit(run("metrics_table", __doc__, work))
