"""The top N movies of each user in the served model, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.contracts.tables import RECOMMENDATIONS
from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als.model import WEIGHTS, Model, Side, read_model
from reco_platform.spark.session import spark_session
from reco_platform.splits import interactions
from reco_platform.steps import recommendations

if TYPE_CHECKING:
    from reco_platform.core.arrays import Int32Array
    from reco_platform.models.topn.exact import TopN


def work(task: Task) -> Receipt:
    folder = task.path("served_model")
    if (folder / WEIGHTS).is_dir():
        users, lists = lists_of_item_weights(task, folder)
        table = recommendations.lists_table(users, lists, folder.name)
        return recommendations.publish(task, RECOMMENDATIONS, table, folder.name)
    model = read_model(folder)
    table = recommendations.lists_table(model.users.ids, top_n_lists(task, model), folder.name)
    return recommendations.publish(task, RECOMMENDATIONS, table, folder.name)


def needs_spark(task: Task) -> bool:
    """Whether Spark computes the lists: if Spark has also trained the model."""
    return task.inputs["served_model"].format == "spark-ml"


def top_n_lists(task: Task, model: Model) -> TopN:
    """The lists of all users; without movies that the user has rated if exclude_seen=true."""
    from reco_platform.models.topn import exact as topn  # noqa: PLC0415  # restoring needs no compiled code

    if needs_spark(task):
        return top_n_lists_by_spark(task, model)
    rows = recommendations.known_rows(task, ["user_id", "movie_id"]).slice(
        0, None if task.params["exclude_seen"] else 0
    )
    seen = topn.seen_by_id(model, rows["user_id"].to_numpy(), rows["movie_id"].to_numpy())
    found = topn.top_n(model, candidates(task), seen, task.threads, task.log)
    return diversified(task, found, model.movies)


def lists_of_item_weights(task: Task, folder: Path) -> tuple[Int32Array, TopN]:
    """The users with positives, and their lists."""
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.models.ranking import item_weights, models  # noqa: PLC0415

    model = item_weights.read_item_weights(folder)
    rows = rating_arrays(recommendations.known_rows(task, list(interactions.COLUMNS)))
    users = models.users_with_lists(model, rows, task.params)
    n, exclude_seen = candidates(task), task.params["exclude_seen"]
    found = models.lists(
        model, users, rows, task.params, n=n, threads=task.threads, exclude_seen=exclude_seen, report=task.log
    )
    return users, diversified(task, found, model.movies)


def top_n_lists_by_spark(task: Task, model: Model) -> TopN:
    """As `top_n_lists`, in Spark tasks, which read factors and interactions themselves."""
    from reco_platform.models.als import spark as als_spark  # noqa: PLC0415
    from reco_platform.models.topn import spark as topn_spark  # noqa: PLC0415

    session = spark_session("recommend", RESULT_SETTINGS, task.log_level)
    users = session.read.parquet(f"{task.uri('served_model')}/userFactors")
    seen = als_spark.interactions(session, task.open("interactions").uris, recommendations.known_folds(task))
    found = topn_spark.top_n_by_spark(users, model, candidates(task), seen if task.params["exclude_seen"] else None)
    return diversified(task, found, model.movies)


def candidates(task: Task) -> int:
    """How many movies of each user compete for the top_n places of a list."""
    from reco_platform.models.ranking import diversify  # noqa: PLC0415

    return diversify.candidates(task.params["top_n"], task.params["diversify"])


def diversified(task: Task, found: TopN, movies: Side) -> TopN:
    """The lists, re-ranked if diversify is set."""
    from reco_platform.models.ranking import diversify  # noqa: PLC0415

    return diversify.diversified(found, movies, task.params["top_n"], task.params["diversify"], task.threads)
