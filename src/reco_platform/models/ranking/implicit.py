"""ALS for implicit feedback by the native engine, on tables of interactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from reco_platform.models.als import training
from reco_platform.models.als.training import Callback, Log, TrainedModel, no_callback
from reco_platform.models.ranking.positives import positives
from reco_platform.splits.interactions import microseconds


def train(
    rows: pa.Table, params: Mapping[str, Any], *, threads: int, log: Log, callback: Callback = no_callback
) -> TrainedModel:
    """Trains factors whose products order the movies of a user; see `native.train` for the objective.

    Users and movies without positives have no factors.

    Args:
        rows: interactions.COLUMNS; the dense indexes rise with the ids.
        params: of `positives`, and ranking_rank, ranking_max_iter, ranking_reg_param, unobserved_weight, seed, solver.
        threads: at least 1; never changes the result.
        log: gets a line before training and after each iteration.
        callback: called after each iteration.

    Raises:
        ConfigError, DataError: see `native.train` and `positives`.
    """
    found = positives(rows["rating"].to_numpy(), microseconds(rows["rating_ts"]), params)
    kept = rows if found.kept.all() else rows.filter(pa.array(found.kept))
    own = {name: params[f"ranking_{name}"] for name in ("rank", "max_iter", "reg_param")}
    return training.train_factors(
        kept, {**own, "seed": params["seed"], "solver": params["solver"]}, threads=threads, log=log, callback=callback,
        positives=training.Positives(found.values, found.weights), unobserved_weight=params["unobserved_weight"],
    )  # fmt: skip
