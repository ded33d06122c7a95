"""The report of a run: one HTML file that needs nothing else."""

import sys

from reco_platform import layout, reporting
from reco_platform.receipts import Receipt
from reco_platform.steps import Task, run

USERS, COUNT = 5, 10


def work(task: Task) -> Receipt:
    metrics = reporting.read_json(task.path("run_metrics"))
    etl = reporting.read_json(task.path("etl_report"))
    recommendations = task.open("recommendations").read(["user_id", "recommendations"])
    movies = task.open("movies").read(["movie_id", "title"])
    best = reporting.suggestions(recommendations, movies, USERS, COUNT)
    version = metrics["model_version"]
    return task.publish_file(layout.report(version), reporting.page(metrics, etl, best), {"model_version": version})


if __name__ == "__main__":
    sys.exit(run("report", __doc__, work))
