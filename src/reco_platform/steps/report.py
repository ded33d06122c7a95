"""The report of a run: one self-contained HTML file."""

from reco_platform.engine.code.digest import COMPUTING, code_parts
from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.reports import rating_counts, run_page, user_examples
from reco_platform.splits import interactions
from reco_platform.store.json_file import read_json

USERS, COUNT = 4, 8


def work(task: Task) -> Receipt:
    metrics = read_json(task.path("run_metrics"))
    facts = run_page.RunFacts(
        metrics=metrics,
        etl=read_json(task.path("etl_report")),
        counts=rating_counts.count_ratings(task.open("ratings")),
        user_examples=user_examples.user_examples(
            task.open("recommendations").read(["user_id", "recommendations"]),
            task.open("interactions"),
            task.open("movies").read(["movie_id", "title", "genres"]),
            interactions.FOLDS if metrics["refit"] else interactions.TRAINING,
            ids=task.source_ids(),
            users=USERS,
            count=COUNT,
        ),
        inputs=task.inputs,
        packages=packages(task),
        gate=read_json(task.path("gate")),
    )
    version = metrics["model_version"]
    return task.publish_file(run_page.run_page(facts), {"model_version": version}, version)


def packages(task: Task) -> dict[str, str]:
    """Versions of the packages that the page depends on; they are part of the step's digest."""
    parts = code_parts(task.step.script, task.step.files)
    return {name: version for name, version in sorted(parts.items()) if name in COMPUTING}
