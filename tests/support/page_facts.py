"""Facts of made-up runs and sweeps, for the pages."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from reco_platform.lakehouse.receipts import Receipt
from reco_platform.reports.rating_counts import RatingCounts
from reco_platform.reports.run_page import LIST_METRICS, RANKING_METRICS, RATING_METRICS, STRATUM_NAMES, RunFacts
from reco_platform.reports.text_summary import system_names
from reco_platform.reports.user_examples import ExampleMovie, UserExample

HOSTILE = '<script>alert(1)</script> & "Quoted" $x^2$ ' + "long" * 30


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


UNRATED = ("popular", "popular_recent", "implicit", "ease", "item_knn")


def evaluation(ranking_system: str = "als") -> dict[str, Any]:
    """As `evaluate` gives it, with a value that rises from system to system."""
    every = list(system_names({"ranking_system": ranking_system}))
    ranked = [system for system in every if system != "global_mean"]
    systems: dict[str, dict[str, Any]] = {system: {} for system in every}
    for number, system in enumerate(every):
        if system not in UNRATED:
            systems[system] |= {metric: interval(0.8 + number / 20) for metric in RATING_METRICS}
        if system != "global_mean":
            names = (*RANKING_METRICS, "novelty", "popularity_percentile", "genre_diversity")
            systems[system] |= {f"{name}@{k}": interval(0.1 + number / 20) for name in names for k in (5, 10, 20)}
    strata = {
        side: {
            name: {system: {"rmse_warm": {"value": 0.8}, "ndcg@10": {"value": 0.1}} for system in every}
            for name in names
        }
        for side, names in STRATUM_NAMES.items()
    }
    verdicts = [
        {"metric": "rmse_warm", "baseline": "biases", "verdict": "better", **interval(-0.1), "better_share": 1.0},
        {"metric": "ndcg@10", "baseline": "popular", "verdict": "worse", **interval(-0.2), "better_share": 0.0},
        {"metric": "ndcg@10", "baseline": "biases", "verdict": "undecided", **interval(0.0), "better_share": 0.5},
    ]
    return {
        "rmse": 0.8, "coverage": 0.25, "cold_share": 0.75, "headline_k": 10, "ranking_system": ranking_system,
        "popular_half_life": 1_000,
        "absent": {}, "systems": systems, "verdicts": verdicts,
        "folds": {
            "rows": 12_345, "warm_rows": 3_086, "cold_row_share": 0.75, "users": 1_200, "warm_users": 600,
            "cold_user_share": 0.5, "ranked_users": 580, "catalogue": 2_000,
        },
        "catalogue": {system: {f"{name}@10": {"value": 0.5} for name in LIST_METRICS} for system in ranked},
        "strata": {**strata, "test_rows": {name: 1_029 for names in STRATUM_NAMES.values() for name in names}},
    }  # fmt: skip


def metrics() -> dict[str, Any]:
    fold = {"rows": 61_728, "users": 900, "movies": 1_900}
    return {
        "model_version": "aaaaaaaa-bbbbbbbb", "served_version": "aaaaaaaa-bbbbbbbb", "refit": False, "chosen_by": None,
        "execution_ts": "2031-07-08T09:10:11Z",
        "hyperparameters": {"engine": "native", "rank": 50, "biased": True},
        "dataset_info": {
            "dataset": "made up", "storage_format": "delta",
            "split_info": {
                "split": "global_time", "test_after": "2019-04-16T15:21:15.000000Z", "test_count": 12_345,
                "train_count": 61_728,
                "folds": {"train": fold, **{name: {**fold, "warm_rows": 3_086} for name in ("validation", "test")}},
            },
        },
        "training": {"ratings": 61_728, "users": 900, "movies": 1_900, "objective": [0.9, 0.7, 0.65]},
        "evaluation": evaluation(),
        "recommendations": {"top_n": 10, "users": 900, "popular_users": 12, "other_users": 0},
    }  # fmt: skip


def etl() -> dict[str, Any]:
    ratings = {
        "rows_in": 75_000, "rows_out": 74_073, "rejected": 900, "duplicates": {"exact": 27},
        "rejected_by_reason": {"null_user": 899, "rating_out_of_range": 1},
    }  # fmt: skip
    movies = {"rows_in": 2_000, "rows_out": 2_000, "rejected": 0, "duplicates": {"exact": 0}, "rejected_by_reason": {}}
    return {"tables": {"ratings": ratings, "movies": movies, "tags": {"absent": True}}}


def run_facts(**changes: Any) -> RunFacts:
    """A run with a movie whose title would break a careless page."""
    months = [(2017 + month // 12, month % 12 + 1, 1_000 + 37 * month) for month in range(30)]
    stars = {star / 2: 5_000 + 100 * star for star in range(1, 11)}
    example = UserExample(
        7, 1_234, [ExampleMovie(HOSTILE, ["Drama"], 5.0)], [ExampleMovie("Plain (1999)", [], 4.567, 3.5)]
    )
    receipt = Receipt("silver/ratings", "table", "silver/ratings", "delta", 0, 74_073, "", "0123456789abcdef")
    facts = RunFacts(
        metrics=metrics(), etl=etl(), counts=RatingCounts(months, stars, np.arange(2_000, 0, -1)),
        user_examples=[example],
        inputs={"ratings": receipt}, packages={"numpy": "2.4.6"}, gate={"state": "challenger", "reason": "not better"},
    )  # fmt: skip
    return replace(facts, **changes)


def trial(place: int, params: dict[str, Any], value: float) -> dict[str, Any]:
    curve = [{"iteration": number, "value": value + abs(number - 3) / 100} for number in range(1, 7)]
    return {
        "place": place, "trial": f"{place:08x}", "params": {**params, "max_iter": 6}, "iteration": 3,
        **interval(value), "seconds": 1.5 * place, "peak_memory_mb": 1_234.0, "error": None, "curve": curve,
    }  # fmt: skip


def failed(params: dict[str, Any]) -> dict[str, Any]:
    nothing = dict.fromkeys(("place", "iteration", "value", "low", "high", "peak_memory_mb"))
    return {**nothing, "trial": "ffffffff", "params": params, "seconds": 1.0, "error": HOSTILE, "curve": []}


def sweep_facts(**axes: list[Any]) -> dict[str, Any]:
    """A sweep over a whole grid, and a trial that failed."""
    cells = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    trials = [trial(place, params, 0.9 + place / 1000) for place, params in enumerate(cells, 1)]
    return {
        "sweep": "made-up", "dataset": "made up", "metric": "rmse_all", "smaller_is_better": True,
        "axes": list(axes), "trials": [*trials, failed(cells[0])],
    }  # fmt: skip
