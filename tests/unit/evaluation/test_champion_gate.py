"""The champion gate, and the differences in RMSE and NDCG between two models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reco_platform.evaluation import model_difference
from reco_platform.evaluation.champion_gate import Decision, decide_by_differences, decide_without_comparison
from reco_platform.evaluation.dataset import RatingArrays, evaluation_dataset
from reco_platform.evaluation.model_difference import Ranker
from reco_platform.models import biases
from reco_platform.models.als.model import Model, Side
from reco_platform.tracking.mlflow_worker import reason_of
from reco_platform.tracking.registered_models import registered_name

OURS = {"model_version": "new", "model": "f1", "dataset": "small", "interactions": "i1"}
CHAMPION = {"model_version": "old", "model": "f0", "dataset": "small", "interactions": "i1"}
PARAMS = {"gate_metric": "rmse_all", "bias_damping": 5.0, "bootstrap_samples": 200, "bootstrap_seed": 1}


def found(value: float, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "better_share": None, **more}


@pytest.mark.parametrize(
    ("difference", "state"),
    [
        (found(-0.1, -0.2, -0.01), "champion"),
        (found(-0.1, -0.2, 0.0), "challenger"),
        (found(-0.1, -0.2, 0.01), "challenger"),
        (found(0.1, 0.05, 0.2), "challenger"),
        (found(-0.1, None, None, missing_because="in 3 of 200 resamples no user has a value"), "challenger"),
    ],
)
def test_only_an_interval_below_zero_makes_a_champion(difference: dict[str, Any], state: str) -> None:
    decision = decide_by_differences(OURS, CHAMPION, {"rmse_all": difference})
    assert decision.state == state
    assert "champion old by rmse_all" in decision.reason
    assert decision.champion_version == "old"


def test_other_training_data_are_named_as_a_caveat() -> None:
    tied = {"rmse_all": found(0.1, 0, 0.2)}
    assert "other data" in decide_by_differences(OURS, {**CHAMPION, "interactions": "i2"}, tied).reason
    assert "other data" not in decide_by_differences(OURS, CHAMPION, tied).reason


UP, DOWN, TIED = found(0.1, 0.05, 0.2), found(-0.1, -0.2, -0.05), found(0.1, -0.1, 0.2)


@pytest.mark.parametrize(
    ("ndcg", "rmse", "state", "decided_by"),
    [
        (UP, TIED, "champion", "ndcg@10"),
        (UP, DOWN, "champion", "ndcg@10"),
        (TIED, DOWN, "champion", "rmse_all"),
        (TIED, TIED, "challenger", "ndcg@10"),
        (UP, UP, "challenger", "rmse_all"),
        (DOWN, DOWN, "challenger", "ndcg@10"),
        (DOWN, UP, "challenger", "ndcg@10"),
    ],
)
def test_a_champion_is_better_by_lists_or_by_predictions_and_worse_by_neither(
    ndcg: dict[str, Any], rmse: dict[str, Any], state: str, decided_by: str
) -> None:
    decision = decide_by_differences(OURS, CHAMPION, {"ndcg@10": ndcg, "rmse_all": rmse})
    assert (decision.state, decision.metric) == (state, decided_by)
    assert decision.difference == decision.differences[decided_by]
    tags = decision.tags()
    assert tags["gate.decided_by"] == decided_by and set(tags) >= {"gate.state", "gate.ndcg_at_10", "gate.rmse_all"}
    assert f"{ndcg['low']:+.4f}, {ndcg['high']:+.4f}" in tags["gate.ndcg_at_10"]
    assert "; ndcg@10: " in decision.reason or "; rmse_all: " in decision.reason, "both verdicts are given"


def test_an_earlier_decision_holds_until_it_would_compare_by_another_rmse() -> None:
    both = decide_by_differences(OURS, CHAMPION, {"ndcg@10": UP, "rmse_all": TIED})
    assert both.is_valid_for("rmse_all") and not both.is_valid_for("rmse_warm")
    assert Decision("new", "first", "there was no champion before it").is_valid_for("rmse_warm")
    assert Decision("new", "challenger", "", "old", "rmse_all", UP).is_valid_for("rmse_all"), "of an earlier version"


def test_without_a_champion_with_itself_and_with_another_data_set_nothing_is_compared() -> None:
    states = {
        "first": None,
        "champion": OURS,
        "challenger": {**CHAMPION, "dataset": "large"},
    }
    for state, champion in states.items():
        decision = decide_without_comparison(OURS, champion)
        assert decision is not None and decision.state == state
    assert decide_without_comparison(OURS, CHAMPION) is None
    assert decide_without_comparison(OURS, {**OURS, "model": "f0"}) is None, (
        "the same version of other code is another model"
    )


def model(users: int, movies: int, rng: np.random.Generator) -> Model:
    sides = (Side(np.arange(n, dtype=np.int32), rng.normal(1, 0.5, (n, 3)).astype(np.float32)) for n in (users, movies))
    return Model(*sides)


def rows(users: int, movies: int, count: int, rng: np.random.Generator) -> RatingArrays:
    user, movie = (rng.integers(0, n, count, dtype=np.int32) for n in (users, movies))
    return RatingArrays(user, movie, user, movie, rng.integers(1, 6, count).astype(np.float32), np.arange(count))


@pytest.mark.parametrize("metric", ["rmse_all", "rmse_warm"])
def test_the_difference_is_between_errors_on_the_same_rows(metric: str) -> None:
    rng = np.random.default_rng(3)
    train, test = rows(12, 9, 300, rng), rows(15, 9, 200, rng)
    ours, theirs = model(12, 9, rng), model(10, 8, rng)
    fitted = biases.fit(train.user_index, train.movie_index, train.ratings, PARAMS["bias_damping"])  # type: ignore[arg-type]
    errors = []
    both = ~np.isnan(ours.predict(test.users, test.movies)) & ~np.isnan(theirs.predict(test.users, test.movies))
    for one in (ours, theirs):
        predicted = one.predict(test.users, test.movies)
        fallback = fitted.predict(test.user_index, test.movie_index)
        whole = np.where(np.isnan(predicted), fallback, predicted) if metric == "rmse_all" else predicted
        counted = np.ones(len(whole), bool) if metric == "rmse_all" else both
        errors.append(np.sqrt(np.mean((test.ratings - whole)[counted] ** 2)))
    result = model_difference.rmse_difference(ours, theirs, train, test, {**PARAMS, "gate_metric": metric})
    assert result["value"] == pytest.approx(errors[0] - errors[1])
    assert result["low"] < result["value"] < result["high"]


def test_a_model_is_no_better_than_itself() -> None:
    rng = np.random.default_rng(4)
    one, train, test = model(12, 9, rng), rows(12, 9, 300, rng), rows(12, 9, 100, rng)
    assert model_difference.rmse_difference(one, one, train, test, PARAMS)["high"] == 0


def test_the_difference_in_ndcg_is_that_of_the_definition() -> None:
    """Two users, three unseen movies: one model ranks what each liked first, the other last."""
    train = RatingArrays(*np.array([[0, 1], [0, 0], [0, 1], [0, 0]], np.int32), np.full(2, 4, np.float32), np.arange(2))
    liked = RatingArrays(*np.array([[0, 1], [1, 3], [0, 1], [1, 3]], np.int32), np.full(2, 5, np.float32), np.arange(2))
    scores = np.array([[0, 3, 2, 1], [0, 1, 2, 3]], np.float32)
    movies = Side(np.arange(4, dtype=np.int32), np.eye(4, dtype=np.float32))
    good, bad = (Ranker(Model(Side(np.arange(2, dtype=np.int32), one), movies), {}) for one in (scores, -scores))
    params = {**PARAMS, "relevance": "threshold", "relevant_rating": 4.0}
    result = model_difference.ndcg_difference(good, bad, train, liked, params, threads=1)
    assert result["value"] == pytest.approx(1 - 1 / np.log2(4))
    assert result["low"] == pytest.approx(result["value"])


def test_users_without_a_list_of_their_own_get_popular_movies_in_the_comparison() -> None:
    rng = np.random.default_rng(5)
    train, test = rows(12, 9, 60, rng), rows(12, 9, 60, rng)
    one, few = model(12, 9, rng), model(1, 9, rng)
    everybody = Model(Side.without_factors(np.arange(12, dtype=np.int32)), one.movies)
    dataset = evaluation_dataset(everybody, train, test, model_difference.NO_GENRES)
    lists = model_difference.lists_of(Ranker(few, {}), dataset, 3, 1)
    assert (lists[:, 0] >= 0).all()


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [
        (None, "demo", "reco-demo"),
        ("mine", "demo", "mine"),
        (None, "my films+", "reco-my-films--"),
        (None, "my films-", "reco-my-films--"),
    ],
)
def test_each_data_set_has_a_registered_model_of_its_own(name: str | None, dataset: str, expected: str) -> None:
    assert registered_name(name, dataset).startswith(expected)
    assert registered_name(None, "my films+") != registered_name(None, "my films-")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("API request to endpoint /api failed with error code 401 != 200. Response body: ''", "answers with HTTP 401"),
        ("Max retries exceeded with url: /api (Caused by ResponseError('too many 500 error responses'))", "HTTP 500"),
        ("HTTPConnectionPool(host='h', port=1): Read timed out. (read timeout=4)", "not answer in time"),
        ("[Errno 28] No space left on device", "no space left"),
        ("HTTPConnectionPool(host='127.0.0.1', port=9): [Errno 111] Connection refused", "cannot be reached"),
        ("('Connection aborted.', RemoteDisconnected('...'))", "the connection broke"),
        ("something at 10.0.0.1:5000 after 3 s", "MLflow raised RuntimeError"),
    ],
)
def test_error_texts_do_not_differ_between_runs(said: str, reason: str) -> None:
    found_reason = reason_of(RuntimeError(said))
    assert reason in found_reason
    assert "10.0.0.1" not in found_reason and "port" not in found_reason
