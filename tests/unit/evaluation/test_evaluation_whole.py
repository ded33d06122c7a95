"""The whole evaluation: every system on a small example worked by hand, and reasons for missing values."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reco_platform.config.load import load_config
from reco_platform.core.errors import DataError
from reco_platform.evaluation import metrics_file
from reco_platform.evaluation.dataset import RatingArrays
from reco_platform.evaluation.evaluate import evaluate
from reco_platform.evaluation.settings import Settings
from reco_platform.evaluation.verdict import verdict
from reco_platform.models.als.model import Model, Side

SETTINGS = Settings(
    cold_start_strategy="drop", evaluation_k=(1, 2), relevance="threshold", relevant_rating=4.0,
    bias_damping=0.0, bootstrap_samples=200, bootstrap_seed=7, threads=1, popular_half_life=1,
    diversify=0.0,
    ranking=load_config({}, {}).model_dump() | {"ranking_model": "explicit"},
)  # fmt: skip
DAY = 24 * 60 * 60 * 1_000_000
GENRES = pa.table({"movie_id": [10, 20, 30, 40], "genres": [["War"], ["War", "Drama"], ["Comedy"], []]})


def rows(*items: tuple[int, int, float, int]) -> RatingArrays:
    """From (user, movie, rating, day); users are numbered from 1, movies 10, 20, ... as 0, 1, ..."""
    users, movies, ratings, days = (np.array(column) for column in zip(*items, strict=True))
    return RatingArrays(
        users.astype(np.int32), movies.astype(np.int32), (users - 1).astype(np.int32),
        (movies // 10 - 1).astype(np.int32), ratings.astype(np.float32), days * DAY,
    )  # fmt: skip


# Movie 10 has three ratings, 20 two, 30 one; nobody rated 40 in training. User 4 is new in the test fold.
TRAIN = rows((1, 10, 4, 0), (1, 20, 2, 0), (2, 10, 4, 0), (2, 30, 5, 9), (3, 10, 1, 0), (3, 20, 2, 0))
TEST = rows((1, 30, 5, 10), (2, 20, 4, 10), (3, 30, 2, 10), (3, 40, 4, 10), (4, 10, 3, 10))
# Predictions u.m: user 1 gives 10: 4, 20: 2, 30: 4; user 2 gives 4, 2, 4; user 3 gives 2, 1, 2.
MODEL = Model(
    Side(np.array([1, 2, 3], np.int32), np.array([[2.0], [2.0], [1.0]], np.float32)),
    Side(np.array([10, 20, 30], np.int32), np.array([[2.0], [1.0], [2.0]], np.float32)),
)


def evaluation(model: Model = MODEL, test: RatingArrays = TEST, **changed: Any) -> dict[str, Any]:
    return evaluate(model, None, None, TRAIN, test, genres=GENRES, settings=replace(SETTINGS, **changed))


def value(found: dict[str, Any], system: str, metric: str) -> float:
    number = found["systems"][system][metric]["value"]
    assert number is not None
    return float(number)


def test_rating_metrics_on_known_rows_and_on_all_as_worked_by_hand() -> None:
    found = evaluation()
    # Known rows: (1, 30) 5 against 4, (2, 20) 4 against 2, (3, 30) 2 against 2.
    assert value(found, "als", "rmse_warm") == pytest.approx(math.sqrt((1 + 4 + 0) / 3))
    assert value(found, "als", "mae_warm") == pytest.approx((1 + 2 + 0) / 3)
    assert value(found, "als", "user_rmse_warm") == pytest.approx((1 + 2 + 0) / 3)
    # Mean 3; movies: 10: 0, 20: -1, 30: 2. Users, from what is left: 1: (1, 0) 0.5; 2: (1, 0) 0.5; 3: (-2, 0) -1.
    # So biases say 5.5, 2.5, 4 on the known rows, 2 for (3, 40), 3 for (4, 10).
    biases = [5 - 5.5, 4 - 2.5, 2 - 4]
    assert value(found, "biases", "rmse_warm") == pytest.approx(math.sqrt(sum(e * e for e in biases) / 3))
    assert value(found, "biases", "rmse_warm_clipped") == pytest.approx(math.sqrt((0 + 1.5**2 + 2**2) / 3))
    # On all rows the model takes the biases' word for the two it does not know: 4 against 2, 3 against 3.
    assert value(found, "als", "rmse_all") == pytest.approx(math.sqrt((1 + 4 + 0 + 4 + 0) / 5))
    assert value(found, "global_mean", "rmse_all") == pytest.approx(math.sqrt((4 + 1 + 1 + 1 + 0) / 5))


def test_ranking_metrics_on_known_users_as_worked_by_hand() -> None:
    found = evaluation()
    # Unseen: user 1: 30; user 2: 20; user 3: 30. Relevant and in the catalogue: (1, 30), (2, 20); user 3 has none.
    for system in ("als", "biases", "popular", "popular_recent"):
        assert value(found, system, "ndcg@1") == value(found, system, "recall@2") == 1.0
        assert value(found, system, "precision@2") == 0.5
    assert found["folds"]["ranked_users"] == 2
    assert found["folds"]["warm_users_without_relevant"] == 1
    assert found["folds"]["relevant_rows"] == 2
    assert "ndcg@1" not in found["systems"]["global_mean"]


def test_the_recent_baseline_counts_old_ratings_less() -> None:
    """User 4 has seen only movie 20 and gets 30, rated once, nine days after the three ratings of 10."""
    train = rows((1, 10, 4, 0), (2, 10, 4, 0), (2, 30, 5, 9), (3, 10, 4, 0), (4, 20, 4, 0))
    model = Model(Side(np.arange(1, 5, dtype=np.int32), np.ones((4, 1), np.float32)), MODEL.movies)
    test = rows((4, 30, 5, 10))
    found = evaluate(model, None, None, train, test, genres=GENRES, settings=SETTINGS)
    assert value(found, "popular_recent", "hit_rate@1") == 1.0
    assert value(found, "popular", "hit_rate@1") == 0.0


def test_user_mean_relevance_is_that_of_the_training_ratings() -> None:
    # Means: user 1: 3, user 2: 4.5, user 3: 1.5; so (1, 30) and (3, 30) are relevant, (2, 20) is not.
    found = evaluation(relevance="user_mean")
    assert found["folds"]["relevant_rows"] == 2
    assert value(found, "als", "recall@1") == 1.0


def test_fold_counts() -> None:
    folds = evaluation()["folds"]
    assert (folds["rows"], folds["warm_rows"], folds["cold_row_share"]) == (5, 3, 0.4)
    assert (folds["users"], folds["warm_users"], folds["cold_user_share"]) == (4, 3, 0.25)
    assert folds["catalogue"] == 3


def test_plain_als_is_a_baseline_if_the_model_is_biased() -> None:
    found = evaluate(MODEL, MODEL, None, TRAIN, TEST, genres=GENRES, settings=SETTINGS)
    difference = found["differences"]["als_plain"]["rmse_warm"]
    assert difference["value"] == 0
    assert {one["verdict"] for one in found["verdicts"] if one["baseline"] == "als_plain"} == {"undecided"}
    assert "als_plain" not in evaluation()["systems"]


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads: int) -> None:
    assert evaluation(threads=threads) == evaluation()


def test_strata_cover_all_rows_once() -> None:
    found = evaluation()["strata"]
    assert sum(found["test_rows"][name] for name in ("head", "middle", "tail")) == 3
    assert sum(count for name, count in found["test_rows"].items() if name.endswith("_active")) == 3
    for side in ("movies", "users"):
        errors = [
            found["test_rows"][stratum] * systems["als"]["rmse_warm"]["value"] ** 2
            for stratum, systems in found[side].items()
            if found["test_rows"][stratum]
        ]
        assert sum(errors) == pytest.approx(1 + 4 + 0)


# --- missing values


def assert_valid(found: dict[str, Any]) -> None:
    json.dumps(found, allow_nan=False)
    metrics_file.Evaluation.model_validate(found)


def test_a_fold_without_known_users_gives_reasons_and_no_values() -> None:
    found = evaluation(test=rows((4, 10, 3, 10), (5, 20, 4, 10)))
    assert_valid(found)
    assert found["systems"]["als"]["rmse_warm"]["value"] is None
    assert found["systems"]["als"]["rmse_warm"]["missing_because"]
    assert found["systems"]["als"]["ndcg@1"]["value"] is None
    assert found["systems"]["als"]["rmse_all"]["value"] == found["systems"]["biases"]["rmse_all"]["value"]


def test_a_threshold_above_all_ratings_gives_reasons_and_no_values() -> None:
    found = evaluation(relevant_rating=5.5)
    assert_valid(found)
    assert found["systems"]["als"]["ndcg@1"] == {
        "value": None, "low": None, "high": None, "missing_because": "no user has a value",
    }  # fmt: skip
    assert found["systems"]["als"]["rmse_warm"]["value"] is not None


def test_lists_longer_than_the_catalogue_are_null_with_the_reason() -> None:
    found = evaluation(evaluation_k=(1, 2, 50))
    assert_valid(found)
    long, short = found["systems"]["als"]["ndcg@50"], found["systems"]["als"]["ndcg@2"]
    assert (long["value"], long["missing_because"]) == (None, "the catalogue has only 3 movies")
    assert short["value"] is not None
    assert found["catalogue"]["als"]["gini@50"]["value"] is None


def test_a_catalogue_shorter_than_every_list_is_an_error() -> None:
    with pytest.raises(DataError, match="knows only 3 movies") as caught:
        evaluation(evaluation_k=(5, 10))
    assert "evaluation_k=3" in str(caught.value.hint)


def test_a_whole_evaluation_fits_its_schema() -> None:
    assert_valid(evaluation())


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("rmse_warm", -0.2, -0.1, "better"),
        ("rmse_warm", 0.1, 0.2, "worse"),
        ("rmse_warm", -0.1, 0.1, "undecided"),
        ("ndcg@10", 0.1, 0.2, "better"),
        ("ndcg@10", -0.2, -0.1, "worse"),
        ("ndcg@10", 0.0, 0.2, "undecided"),
        ("ndcg@10", None, None, "undecided"),
    ],
)
def test_a_verdict_needs_an_interval_on_one_side_of_0(
    metric: str, low: float | None, high: float | None, expected: str
) -> None:
    assert verdict(metric, {"low": low, "high": high}) == expected


# --- the flat table


def test_the_table_has_a_line_for_every_metric_and_empty_cells_for_missing_values() -> None:
    found = evaluation(evaluation_k=(1, 50))
    lines = metrics_file.table({"model_version": "v", "evaluation": found}).splitlines()
    assert lines[0] == "model_version,part,stratum,system,metric,value,low,high"
    assert len(set(lines)) == len(lines)
    assert "v,systems,,als,ndcg@50,,," in lines
    ndcg = found["systems"]["als"]["ndcg@1"]
    assert f"v,systems,,als,ndcg@1,{ndcg['value']},," in lines
    assert any(line.startswith("v,strata,tail,als,rmse_warm,") for line in lines)
