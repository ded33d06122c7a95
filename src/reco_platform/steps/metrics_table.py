"""All metrics of a run as CSV, one metric per line, for plotting."""

from reco_platform.engine.task import Task
from reco_platform.evaluation import metrics_file
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.store.json_file import read_json


def work(task: Task) -> Receipt:
    found = read_json(task.path("run_metrics"))
    version = found["model_version"]
    return task.publish_file(metrics_file.table(found), {"model_version": version}, version)
