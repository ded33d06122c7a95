"""Which steps a changed key makes stale by itself: the rerun contract of the keys of the two models."""

from __future__ import annotations

from typing import Any

import pytest

from reco_platform.config.load import load_config
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline.steps_table import STEPS, input_artifacts

OF_RATING_MODEL = {"train_als", "train_plain", "refit"}
OF_RANKING_MODEL = {"train_ranking", "refit_ranking"}
LISTS = {"recommend", "fallback"}
BEFORE_MODELS = {"bronze", "silver_ratings", "silver_movies", "silver_tags", "etl_report", "interactions"}

RANKING_KEYS = {
    "ranking_model": "item_knn", "positives": "liked", "liked_rating": 4.5, "disliked_rating": 2.0,
    "positive_strength": 2.0, "positive_half_life": 300.0, "ranking_rank": 8, "ranking_max_iter": 3,
    "ranking_reg_param": 0.01, "unobserved_weight": 0.5, "max_items": 500, "ease_reg": 50.0, "knn_neighbours": 50,
    "knn_shrink": 10.0,
}  # fmt: skip
RATING_KEYS = {"biased": False, "bias_damping": 3.0, "rank": 8, "max_iter": 3, "reg_param": 0.2}


def stale(**changes: Any) -> set[str]:
    """The enabled steps that have other parameters after a change of keys."""
    enabled = load_config(changes, {})
    before, after = load_config({}, {}).shaping(), enabled.shaping()
    return {
        step.name
        for step in STEPS.values()
        if step.is_enabled(enabled) and any(before[key] != after[key] for key in step.keys)
    }


@pytest.mark.parametrize(("key", "value"), RANKING_KEYS.items())
def test_a_key_of_the_ranking_model_trains_no_rating_model(key: str, value: Any) -> None:
    found = stale(**{key: value})
    assert found >= OF_RANKING_MODEL
    assert not found & (OF_RATING_MODEL | BEFORE_MODELS)


@pytest.mark.parametrize(("key", "value"), RATING_KEYS.items())
def test_a_key_of_the_rating_model_trains_no_ranking_model_and_makes_no_lists(key: str, value: Any) -> None:
    found = stale(**{key: value})
    assert "train_als" in found
    assert not found & (OF_RANKING_MODEL | LISTS | BEFORE_MODELS)


def test_lists_of_the_ranking_model_are_not_made_from_the_rating_model() -> None:
    lakehouse = Lakehouse("results/demo", "demo")
    served = {
        kind: input_artifacts(STEPS["recommend"], lakehouse, load_config({"ranking_model": kind}, {}))["served_model"]
        for kind in ("explicit", "implicit")
    }
    assert served == {"explicit": "gold/models/als_refit", "implicit": "gold/models/ranking_refit"}
