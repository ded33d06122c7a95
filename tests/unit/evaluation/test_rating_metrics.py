"""RMSE, MAE and the mean of users' RMSE: worked by hand, compared with scikit-learn, and missing values."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, root_mean_squared_error  # type: ignore[import-untyped]

from reco_platform.evaluation.evaluate import rmse_and_coverage
from reco_platform.evaluation.rating_metrics import rating_sums
from reco_platform.evaluation.user_sums import UserSums, concatenate, metric_values

NAN = float("nan")


def sums(truth: list[float], predicted: list[float], users: list[int], user_count: int) -> UserSums:
    return rating_sums(
        np.array(truth, np.float32), np.array(predicted, np.float64), np.array(users, np.int32), user_count
    )


def values(found: UserSums) -> dict[str, float | None]:
    return {name: entry.value for name, entry in metric_values(found).items()}


def test_three_users_worked_by_hand() -> None:
    # user 0: errors 1 and -2; user 1: error 0, and a cold row; user 2: a cold row alone
    found = sums([4, 3, 5, 2, 1], [3, 5, 5, NAN, NAN], [0, 0, 1, 1, 2], 3)
    assert values(found) == {
        "rmse": pytest.approx(math.sqrt((1 + 4 + 0) / 3), abs=1e-9),
        "mae": pytest.approx((1 + 2 + 0) / 3, abs=1e-9),
        "user_rmse": pytest.approx((math.sqrt((1 + 4) / 2) + 0) / 2, abs=1e-9),
    }
    np.testing.assert_array_equal(found.denominators, [[2, 1], [1, 1], [0, 0]])


def test_rmse_and_mae_equal_scikit_learn() -> None:
    random = np.random.default_rng(5)
    truth = (random.integers(1, 11, 5000) / 2).astype(np.float32)
    predicted = random.uniform(0, 6, 5000)
    found = values(rating_sums(truth, predicted, random.integers(0, 90, 5000), 90))
    exact = truth.astype(np.float64)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(exact, predicted), abs=1e-9)
    assert found["mae"] == pytest.approx(mean_absolute_error(exact, predicted), abs=1e-9)


def test_user_rmse_is_the_mean_of_scikit_learns_rmse_of_each_user() -> None:
    random = np.random.default_rng(6)
    truth, predicted = random.uniform(0, 5, 300).astype(np.float32), random.uniform(0, 5, 300)
    users = random.integers(0, 20, 300)
    own = [root_mean_squared_error(truth[users == u].astype(np.float64), predicted[users == u]) for u in range(20)]
    assert values(rating_sums(truth, predicted, users, 20))["user_rmse"] == pytest.approx(np.mean(own), abs=1e-9)


def test_rmse_equals_the_metric_under_cold_start_strategy_drop() -> None:
    truth, predicted = [1.0, 2.5, 4.0, 4.0], [NAN, 3.1, NAN, 4.4]
    before = rmse_and_coverage(np.array(truth, np.float32), np.array(predicted), "drop")["rmse"]
    assert values(sums(truth, predicted, [0, 1, 1, 2], 3))["rmse"] == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize(("truth", "predicted", "users"), [([], [], []), ([3.0, 4.0], [NAN, NAN], [0, 1])])
def test_without_predictions_there_is_a_reason_and_no_warning(
    truth: list[float], predicted: list[float], users: list[int]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metric_values(sums(truth, predicted, users, 2))
    assert {entry.value for entry in found.values()} == {None}
    assert {entry.missing_because for entry in found.values()} == {"no user has a value"}


def test_clipping_keeps_missing_predictions() -> None:
    truth, users = np.array([1.0, 3.0, 4.0, 2.0], np.float32), np.zeros(4, int)
    found = metric_values(rating_sums(truth, np.array([-1.0, 3.2, 9.0, NAN]), users, 1, (0.5, 5.0)))
    # Brought to 0.5, 3.2, 5.0: errors of 0.5, 0.2 and 1.
    assert found["mae"].value == pytest.approx((0.5 + 0.2 + 1) / 3)


def test_a_group_has_the_values_of_its_own_rows() -> None:
    truth, predicted, users = [4.0, 3.0, 5.0, 2.0], [3.0, 5.0, 4.0, 2.0], [0, 0, 1, 2]
    group = sums(truth, predicted, users, 3).for_group(np.array([True, False, True]))
    assert values(group) == values(sums([4, 3, 2], [3, 5, 2], [0, 0, 2], 3))


def test_concatenated_metrics_keep_their_values() -> None:
    one, other = sums([4, 3], [3, 3], [0, 1], 2), sums([5, 1], [3, 2], [0, 0], 2)
    both = concatenate([one, other])
    parts = concatenate([other]).numerators
    assert [metric.name for metric in both.metrics] == ["rmse", "mae", "user_rmse"] * 2
    np.testing.assert_array_equal(both.numerators[:, 3:], parts)
    assert both.denominator_of == (0, 0, 1, 2, 2, 3)


@given(st.data())
def test_the_order_of_rows_and_the_numbers_of_users_do_not_matter(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    truth, predicted = random.uniform(0, 5, count).astype(np.float32), random.uniform(0, 5, count)
    users, order, names = random.integers(0, 5, count), random.permutation(count), random.permutation(5)
    before = values(rating_sums(truth, predicted, users, 5))
    after = values(rating_sums(truth[order], predicted[order], names[users][order], 5))
    assert after == pytest.approx(before, abs=1e-9)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=20))
def test_mae_is_never_above_rmse(rows: list[tuple[float, float]]) -> None:
    found = values(sums([a for a, _ in rows], [b for _, b in rows], [0] * len(rows), 1))
    assert found["mae"] is not None
    assert found["rmse"] is not None
    assert found["mae"] <= found["rmse"] + 1e-9
