"""A JSON report of the rows that went into and came out of each silver table."""

import json

from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt


def work(task: Task) -> Receipt:
    tables = {
        name: {"absent": True}
        if receipt.kind == "absent"
        else {**receipt.facts, "rows_out": receipt.rows, "fingerprint": receipt.fingerprint}
        for name, receipt in task.inputs.items()
    }
    found = {"dataset": task.dataset, "storage_format": task.params["storage_format"], "tables": tables}
    return task.publish_file(json.dumps(found, indent=1) + "\n")
