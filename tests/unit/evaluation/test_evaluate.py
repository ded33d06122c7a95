"""RMSE and coverage on examples worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reco_platform.evaluation.evaluate import rmse_and_coverage

NAN = float("nan")


def metrics(truth: list[float], predicted: list[float], strategy: str = "drop") -> dict[str, object]:
    return rmse_and_coverage(np.array(truth, np.float32), np.array(predicted, np.float64), strategy)


@pytest.mark.parametrize("strategy", ["drop", "nan"])
def test_rmse_is_the_root_of_the_mean_squared_difference(strategy: str) -> None:
    found = metrics([1.0, 2.0, 5.0], [2.0, 2.0, 3.0], strategy)
    assert found == {
        "rmse": pytest.approx(math.sqrt(5 / 3), rel=1e-15),
        "test_count": 3,
        "predictions_count": 3,
        "coverage": 1.0,
        "cold_count": 0,
        "cold_share": 0.0,
    }


def test_drop_leaves_cold_rows_out_and_counts_them() -> None:
    found = metrics([1.0, 2.0, 4.0, 4.0], [NAN, 3.0, NAN, 4.0])
    assert found["rmse"] == pytest.approx(math.sqrt(0.5))
    assert (found["predictions_count"], found["coverage"]) == (2, 0.5)
    assert (found["cold_count"], found["cold_share"]) == (2, 0.5)


def test_nan_keeps_cold_rows_and_gives_a_reason_for_no_rmse() -> None:
    found = metrics([1.0, 2.0], [NAN, 3.0], "nan")
    assert found["rmse"] is None
    assert "1 cold rows" in str(found["rmse_missing_because"])
    assert (found["predictions_count"], found["coverage"], found["cold_count"]) == (2, 1.0, 1)


def test_only_cold_rows_give_no_rmse_and_a_reason() -> None:
    found = metrics([1.0, 2.0], [NAN, NAN])
    assert found["rmse"] is None
    assert found["rmse_missing_because"] == "no test row has both its user and its movie in the training data"
    assert (found["coverage"], found["cold_share"]) == (0.0, 1.0)


def test_a_test_fold_without_rows_has_no_rmse_and_no_coverage() -> None:
    found = metrics([], [])
    assert (found["rmse"], found["test_count"], found["coverage"], found["cold_share"]) == (None, 0, 0.0, 0.0)


def test_squares_are_summed_in_double_precision() -> None:
    truth = [0.1] * 1_000_000
    assert metrics(truth, [float(np.float32(0.1)) + 1.0] * 1_000_000)["rmse"] == pytest.approx(1.0, rel=1e-12)
