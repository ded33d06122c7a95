"""The champion gate, and the difference in RMSE between two models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reco_platform.evaluation import model_difference
from reco_platform.evaluation.champion_gate import decide_by_difference, decide_without_comparison
from reco_platform.evaluation.dataset import RatingArrays
from reco_platform.models import biases
from reco_platform.models.als.model import Model, Side
from reco_platform.tracking.mlflow_worker import reason_of

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
    decision = decide_by_difference(OURS, CHAMPION, "rmse_all", difference)
    assert decision.state == state
    assert "champion old by rmse_all" in decision.reason
    assert decision.champion_version == "old"


def test_other_training_data_are_named_as_a_caveat() -> None:
    assert (
        "other data"
        in decide_by_difference(OURS, {**CHAMPION, "interactions": "i2"}, "rmse_all", found(0.1, 0, 0.2)).reason
    )
    assert "other data" not in decide_by_difference(OURS, CHAMPION, "rmse_all", found(0.1, 0, 0.2)).reason


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
