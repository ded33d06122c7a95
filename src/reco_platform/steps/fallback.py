"""Recently popular movies for each user without factors in the served model, as a separate table."""

import numpy as np
import pyarrow as pa

from reco_platform.contracts.tables import RECOMMENDATIONS_FALLBACK
from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als.model import read_model
from reco_platform.steps import recommendations


def work(task: Task) -> Receipt:
    from reco_platform.models import popularity  # noqa: PLC0415  # a restore needs no compiled code

    folder, days = task.path("served_model"), task.params["popular_days"]
    model = read_model(folder)
    users = np.setdiff1d(task.open("interactions").read(["user_id"])["user_id"].to_numpy(), model.users.ids)
    known = recommendations.known_rows(task, ["user_id", "movie_id", "rating_ts"])
    is_fallback_user = ~model.users.positions(known["user_id"].to_numpy())[1] & task.params["exclude_seen"]
    seen = known.filter(pa.array(is_fallback_user))
    lists = popularity.most_popular(model, users, known, seen, days=days, n=task.params["top_n"])
    version = f"popular-{days}d-{folder.name}"
    return recommendations.publish(
        task, RECOMMENDATIONS_FALLBACK, recommendations.lists_table(users, lists, version), version
    )
