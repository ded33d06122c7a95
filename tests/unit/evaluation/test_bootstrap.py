"""The bootstrap: correct intervals, results equal to the bit everywhere, and reasons where there is no interval."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from threadpoolctl import threadpool_limits

from reco_platform.core.arrays import Float64Array
from reco_platform.evaluation import bootstrap
from reco_platform.evaluation.bootstrap import (
    Difference,
    Interval,
    differences,
    intervals,
    percentiles,
    resample,
    resample_counts,
    round_for_exact_sums,
)
from reco_platform.evaluation.user_sums import Metric, UserSums, means, metric_values

RMSE = Metric("rmse", root=True, smaller_is_better=True)
NDCG = Metric("ndcg@10")


def sums_of(values: Float64Array) -> UserSums:
    return means([NDCG], values[:, None], np.ones(len(values), bool))


def errors(users: int, seed: int) -> UserSums:
    """Squared errors of 1 to 30 rows a user."""
    random = np.random.default_rng(seed)
    rows = random.integers(1, 31, users).astype(np.float64)
    return UserSums((RMSE,), (rows * random.uniform(0.2, 2, users))[:, None], rows[:, None], (0,))


def test_a_resample_worked_by_hand() -> None:
    sums = UserSums((RMSE,), np.array([[4.0], [9.0], [1.0]]), np.array([[1.0], [3.0], [2.0]]), (0,))
    found = resample({"als": sums}, 200, seed=1)["als"]
    assert found.metric_values["rmse"].value == pytest.approx(math.sqrt((4 + 9 + 1) / (1 + 3 + 2)), abs=1e-9)
    for number in range(200):
        first, second, third = resample_counts(3, 1, number)
        assert first + second + third == 3
        by_hand = math.sqrt((4 * first + 9 * second + 1 * third) / (1 * first + 3 * second + 2 * third))
        assert found.values[number, 0] == pytest.approx(by_hand, rel=1e-12)


def test_users_are_drawn_with_equal_probability() -> None:
    drawn = sum(resample_counts(50, 3, number) for number in range(400))
    assert stats.chisquare(drawn).pvalue > 1e-3


def test_percentiles_are_the_25th_of_1000_from_either_end() -> None:
    values = np.random.default_rng(2).permutation(np.arange(1.0, 1001.0))
    assert percentiles(values, 0.95) == (25, 976)


def test_too_few_resamples_for_the_level_are_refused() -> None:
    with pytest.raises(ValueError, match="19 resamples are too few"):
        percentiles(np.arange(19.0), 0.95)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(4).uniform(0, 1, 4000)
    found = intervals(resample({"als": sums_of(values)}, 2000, seed=5)["als"])["ndcg@10"]
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert found.value == metric_values(sums_of(values))["ndcg@10"].value


def test_scipys_bootstrap_agrees() -> None:
    values = np.random.default_rng(6).exponential(size=300)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1))
    found = intervals(resample({"als": sums_of(values)}, 4000, seed=5)["als"])["ndcg@10"]
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.1 * width)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.1 * width)


def test_four_times_the_same_users_keep_the_value_and_halve_the_interval() -> None:
    values = np.random.default_rng(7).uniform(0, 1, 500)
    once, often = (
        intervals(resample({"als": sums_of(each)}, 2000, seed=8)["als"])["ndcg@10"]
        for each in (values, np.tile(values, 4))
    )
    assert often.value == pytest.approx(once.value, abs=1e-9)
    assert once.low is not None and once.high is not None and often.low is not None and often.high is not None
    assert (often.high - often.low) / (once.high - once.low) == pytest.approx(0.5, abs=0.06)


# --- equal to the bit


def test_one_seed_gives_one_result_and_another_gives_another() -> None:
    first, again, other = (resample({"als": errors(40, 1)}, 120, seed)["als"].values for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("cells", [1, 1000, 50_000])
def test_block_size_and_threads_do_not_change_results(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    systems = {"als": errors(2000, 1), "biases": errors(2000, 2)}
    whole = resample(systems, 100, 9)
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", cells)
    with threadpool_limits(1, user_api="blas"):
        parts = resample(systems, 100, 9)
    for name in systems:
        np.testing.assert_array_equal(parts[name].values, whole[name].values)


def test_other_systems_do_not_change_a_systems_resamples() -> None:
    alone = resample({"als": errors(300, 1)}, 100, 9)["als"].values
    np.testing.assert_array_equal(resample({"b": errors(300, 2), "als": errors(300, 1)}, 100, 9)["als"].values, alone)


def test_another_process_with_other_kernels_gives_the_same_bits(root: Path) -> None:
    """OpenBLAS is made to use the kernels of an older processor, which sum in a different order."""
    code = (
        "import numpy as np; from reco_platform.evaluation.bootstrap import resample;"
        "from reco_platform.evaluation.user_sums import *;"
        "v = np.random.default_rng(1).uniform(0, 1, (3001, 3));"
        "s = means([Metric(n) for n in 'abc'], v, np.ones(3001, bool));"
        "print(resample({'x': s}, 100, 1)['x'].values.tobytes().hex())"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(root / "src"), **more},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ({}, {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"})
    ]
    assert outputs[0] == outputs[1] != ""


@given(st.integers(0, 2**32), st.floats(1e-6, 1e6))
@settings(max_examples=30)
def test_sums_are_exact_in_any_order_and_close_to_the_input(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(200, 2)) * [scale, 1]
    rounded = round_for_exact_sums(numbers)
    counts = random.multinomial(200, [1 / 200] * 200).astype(np.float64)
    forward = (counts[:, None] * rounded).sum(axis=0)
    assert forward.tolist() == [math.fsum(counts * column) for column in rounded.T]
    assert (np.abs(rounded - numbers).max(axis=0) <= 1e-12 * np.abs(numbers).max(axis=0)).all()


def test_integers_are_not_rounded() -> None:
    rows = np.array([[0.0], [1.0], [17.0], [9000.0]])
    np.testing.assert_array_equal(round_for_exact_sums(rows), rows)


# --- differences


def test_a_system_better_for_every_user_is_better_in_every_resample() -> None:
    values = np.random.default_rng(1).uniform(0, 0.5, 80)
    found = resample({"als": sums_of(values + 0.1), "popular": sums_of(values)}, 400, 2)
    ahead = differences(found["als"], found["popular"])["ndcg@10"]
    assert (ahead.value, ahead.low, ahead.high) == tuple(pytest.approx(0.1, abs=1e-9) for _ in range(3))
    assert ahead.better_share == 1
    assert differences(found["popular"], found["als"])["ndcg@10"].better_share == 0


def test_the_interval_of_a_difference_is_narrower_than_both_intervals() -> None:
    random = np.random.default_rng(3)
    values = random.uniform(0, 1, 300)
    found = resample({"a": sums_of(values + random.normal(0.02, 0.02, 300)), "b": sums_of(values)}, 1000, 4)
    apart = intervals(found["a"])["ndcg@10"]
    paired = differences(found["a"], found["b"])["ndcg@10"]
    assert apart.low is not None and apart.high is not None and paired.low is not None and paired.high is not None
    assert paired.high - paired.low < (apart.high - apart.low) / 5


def test_smaller_errors_are_better() -> None:
    small = errors(50, 1)
    large = UserSums(small.metrics, small.numerators * 1.1, small.denominators, small.denominator_of)
    found = resample({"als": small, "mean": large}, 200, 1)
    ahead = differences(found["als"], found["mean"])["rmse"]
    assert ahead.better_share == 1
    assert ahead.high is not None and ahead.high < 0


def test_a_system_is_not_better_than_itself() -> None:
    found = resample({"als": errors(50, 1)}, 200, 1)["als"]
    same = differences(found, found)["rmse"]
    assert (same.value, same.low, same.high, same.better_share) == (0, 0, 0, 0)


def test_only_metrics_of_both_are_compared() -> None:
    found = resample({"als": errors(5, 1), "popular": sums_of(np.ones(5))}, 100, 1)
    assert differences(found["als"], found["popular"]) == {}


def test_systems_with_different_numbers_of_users_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different numbers of users cannot share resamples: \[4, 5\]"):
        resample({"a": errors(4, 1), "b": errors(5, 1)}, 100, 1)


# --- missing values


def test_a_group_missing_in_some_resamples_has_a_value_and_a_reason_for_no_interval() -> None:
    rare = means([NDCG], np.array([[0.5], [0.0], [0.0]]), np.array([True, False, False]))
    found = resample({"a": rare, "b": rare}, 200, 1)
    single, paired = intervals(found["a"])["ndcg@10"], differences(found["a"], found["b"])["ndcg@10"]
    missing = sum(resample_counts(3, 1, number)[0] == 0 for number in range(200))
    assert (single.value, single.low, single.high) == (0.5, None, None)
    assert single.missing_because == paired.missing_because == f"in {missing} of 200 resamples no user has a value"
    assert (paired.value, paired.better_share) == (0, None)


@pytest.mark.parametrize("users", [0, 3])
def test_without_values_there_are_reasons_and_no_warnings(users: int) -> None:
    nobody = UserSums((RMSE, NDCG), np.zeros((users, 2)), np.zeros((users, 1)), (0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = resample({"a": nobody, "b": nobody}, 100, 1)
        results: list[Interval | Difference] = [*intervals(found["a"]).values()]
        results += differences(found["a"], found["b"]).values()
    assert {(each.value, each.low, each.high, each.missing_because) for each in results} == {
        (None, None, None, "no user has a value")
    }
