"""Which parameters shape each ranking model, and which engine trains it; without compiled code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reco_platform.models.als import training_engine
from reco_platform.models.als.training_engine import Choice, Engine

COMMON_PARAMS = (
    "positives",
    "liked_rating",
    "disliked_rating",
    "positive_half_life",
    "min_user_ratings",
    "min_item_ratings",
)
FACTOR_PARAMS = ("ranking_rank", "ranking_max_iter", "ranking_reg_param", "unobserved_weight", "seed")
SHAPING_PARAMS: Mapping[tuple[str, Engine], tuple[str, ...]] = {
    ("implicit", "native"): (*FACTOR_PARAMS, "solver"),
    ("implicit", "spark-ml"): (*FACTOR_PARAMS, "num_blocks"),
    ("ease", "native"): ("max_items", "ease_reg"),
    ("item_knn", "native"): ("max_items", "knn_neighbours", "knn_shrink"),
}


def choose_engine(params: Mapping[str, Any], rows: int) -> Choice:
    """The engine of a ranking model: pyspark.ml trains implicit ALS alone.

    Args:
        params: ranking_model and engine.
        rows: number of interactions in all folds.
    """
    if params["ranking_model"] != "implicit":
        return Choice("native", "weights between movies are computed on one machine")
    return training_engine.choose({**params, "nonnegative": False}, rows)


def shaping_params(params: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """The parameters that, together with the interactions, decide the ranking model."""
    kind = params["ranking_model"]
    strength = ("positive_strength",) if params["positives"] == "weighted" else ()
    keys = (*COMMON_PARAMS, *strength, *SHAPING_PARAMS[kind, engine])
    return {"engine": engine, "ranking_model": kind, **{key: params[key] for key in keys}}


def models_with(key: str) -> list[str]:
    """The ranking models that a key shapes; all of them for a common key."""
    kinds = list(dict.fromkeys(kind for kind, _ in SHAPING_PARAMS))
    return [
        kind for kind in kinds if any(key in keys for (other, _), keys in SHAPING_PARAMS.items() if other == kind)
    ] or kinds
