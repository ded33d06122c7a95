"""Recently popular movies for each user without factors in the served model, as a separate table."""

import numpy as np
import pyarrow as pa

from reco_platform.contracts.tables import RECOMMENDATIONS_FALLBACK
from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.splits import interactions
from reco_platform.steps import recommendations
from reco_platform.steps.half_life import chosen_half_life

VISITOR = np.iinfo(np.int32).max
"""Stands for a visitor, whose user_id is null in the table, where ids must rise."""


def work(task: Task) -> Receipt:
    from reco_platform.evaluation.dataset import rating_arrays  # noqa: PLC0415
    from reco_platform.models import popularity  # noqa: PLC0415  # a restore needs no compiled code
    from reco_platform.models.ranking import models  # noqa: PLC0415

    folder, half_life = task.path("served_model"), chosen_half_life(task)
    model = models.read_ranking_model(folder)
    known = recommendations.known_rows(task, list(interactions.COLUMNS))
    listed = models.users_with_lists(model, rating_arrays(known), task.params)
    others = np.setdiff1d(task.open("interactions").read(["user_id"])["user_id"].to_numpy(), listed)
    is_fallback_user = np.isin(known["user_id"].to_numpy(), others) & task.params["exclude_seen"]
    seen = known.filter(pa.array(is_fallback_user))
    users = np.append(others, VISITOR).astype(np.int32)
    lists = popularity.most_popular(model.movies, users, known, seen, half_life=half_life, n=task.params["top_n"])
    version = f"popular-{half_life}d-{folder.name}"
    table = recommendations.lists_table(pa.array(users, mask=users == VISITOR), lists, version)
    return recommendations.publish(task, RECOMMENDATIONS_FALLBACK, table, version)
