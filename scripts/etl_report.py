"""One JSON file of what went in and out of every silver table."""

import json
import sys

from reco_platform.engine.runner import Task, run
from reco_platform.lakehouse.receipts import Receipt


def work(task: Task) -> Receipt:
    tables = {
        name: {"absent": True}
        if receipt.kind == "absent"
        else {**receipt.facts, "rows_out": receipt.rows, "fingerprint": receipt.fingerprint}
        for name, receipt in task.inputs.items()
    }
    found = {"dataset": task.dataset, "storage_format": task.params["storage_format"], "tables": tables}
    path = task.lakehouse.etl_report + ".json"
    return task.publish_file(path, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(run("etl_report", __doc__, work))
