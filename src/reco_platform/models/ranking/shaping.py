"""Which ranking model is trained, by which engine, and which parameters shape it; without compiled code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from reco_platform.models.als import training_engine
from reco_platform.models.als.training_engine import Choice, Engine

POSITIVES_PARAMS = ("positives", "liked_rating", "disliked_rating", "best_rating", "positive_half_life")
"""What decides which interactions are positives; with positives=weighted also `positive_strength`."""

COMMON_PARAMS = (*POSITIVES_PARAMS, "min_user_ratings", "min_item_ratings")
FACTOR_PARAMS = ("ranking_rank", "ranking_max_iter", "ranking_reg_param", "unobserved_weight", "seed")
SHAPING_PARAMS: Mapping[tuple[str, Engine], tuple[str, ...]] = {
    ("implicit", "native"): (*FACTOR_PARAMS, "solver"),
    ("implicit", "spark-ml"): (*FACTOR_PARAMS, "num_blocks"),
    ("ease", "native"): ("max_items", "ease_reg"),
    ("item_knn", "native"): ("max_items", "knn_neighbours", "knn_shrink"),
    ("popular", "native"): (),
}

AUTO = "auto"
AUTO_KINDS = ("ease", "implicit")
"""The models that ranking_model=auto chooses from."""

MAX_AUTO_MOVIES = 10_000
"""With more movies, ranking_model=auto does not choose EASE; see docs/ranking.md for the evidence.

A constant, so that every machine chooses the same model.
"""

MAX_PRODUCTS = 100_000_000_000
"""Products that weights between movies, or the lists of all users, may need: about a minute on two cores."""


@dataclass(frozen=True)
class Kind:
    """A ranking model and the reason for it."""

    name: str
    reason: str


def choose_kind(params: Mapping[str, Any], ratings: int, movies: int) -> Kind:
    """The ranking model to train: the configured one, or with `auto` EASE for small data and implicit ALS otherwise.

    Args:
        params: ranking_model, engine and max_items.
        ratings, movies: numbers of both in all folds, so that the evaluated model and its refit are of one kind.
    """
    if params["ranking_model"] != AUTO:
        return Kind(params["ranking_model"], "ranking_model is set")
    if training_engine.choose({**params, "nonnegative": False}, ratings).engine == "spark-ml":
        return Kind("implicit", "pyspark.ml trains no other ranking model")
    if movies > MAX_AUTO_MOVIES:
        return Kind("implicit", f"{movies:,} movies are more than the {MAX_AUTO_MOVIES:,} that EASE is chosen for")
    # No profile has more than max_items movies, so the Gram matrix needs no more products than the lists.
    if ratings * params["max_items"] > MAX_PRODUCTS:
        return Kind("implicit", f"{ratings:,} ratings are too many for EASE with max_items={params['max_items']}")
    return Kind("ease", f"{movies:,} movies are no more than the {MAX_AUTO_MOVIES:,} that EASE is chosen for")


def auto_kinds(axes: Collection[str]) -> tuple[str, ...]:
    """The models that `auto` stands for in a sweep, where validation chooses.

    Those of AUTO_KINDS that alone have one of the axes as a parameter, such as implicit for ranking_rank; otherwise
    all.
    """
    owners = [[kind for kind in AUTO_KINDS if kind in models_with(key)] for key in axes]
    only = {found[0] for found in owners if len(found) == 1}
    return tuple(kind for kind in AUTO_KINDS if kind in only) or AUTO_KINDS


def choose_engine(params: Mapping[str, Any], rows: int) -> Choice:
    """The engine of a ranking model: pyspark.ml trains implicit ALS alone.

    Args:
        params: ranking_model (not auto) and engine.
        rows: number of interactions in all folds.
    """
    if params["ranking_model"] != "implicit":
        return Choice("native", "it is computed on one machine")
    return training_engine.choose({**params, "nonnegative": False}, rows)


def shaping_params(params: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """The parameters that, together with the interactions, decide the ranking model; ranking_model is not auto."""
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
