"""The latest rating of each pair and folds by time, against plain Python."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_platform import splitting

ROW = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 6))
EDGE = st.sampled_from([0, 1, 2**31 - 1])
FRACTION = st.floats(0.01, 0.99)
MOMENTS = st.lists(st.integers(0, 30), min_size=1, max_size=60)


def table(rows: list[tuple[int, int, int]]) -> pa.Table:
    users, movies, moments = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "user_id": pa.array(users, pa.int32()),
            "movie_id": pa.array(movies, pa.int32()),
            "rating": pa.array([float(number) for number in range(len(rows))], pa.float32()),
            "rating_ts": pa.array(moments, pa.timestamp("us", "UTC")),
        }
    )


# --- the latest


@given(st.lists(ROW | st.tuples(EDGE, EDGE, st.integers(0, 3)), unique=True, max_size=40))
def test_each_pair_keeps_its_latest_rating_sorted_by_user_and_movie(rows: list[tuple[int, int, int]]) -> None:
    expected: dict[tuple[int, int], tuple[int, float]] = {}
    for number, (user, movie, moment) in enumerate(rows):
        if moment >= expected.get((user, movie), (-1, 0))[0]:
            expected[user, movie] = (moment, float(number))
    found = splitting.latest(table(rows))
    assert list(zip(found["user_id"].to_pylist(), found["movie_id"].to_pylist(), strict=True)) == sorted(expected)
    assert found["rating"].to_pylist() == [expected[pair][1] for pair in sorted(expected)]


@given(st.lists(ROW, unique=True, max_size=40), st.randoms())
def test_the_order_of_ratings_does_not_matter(rows: list[tuple[int, int, int]], random: object) -> None:
    before = splitting.latest(table(rows)).drop_columns(["rating"])
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert splitting.latest(table(rows)).drop_columns(["rating"]) == before


@given(st.lists(st.integers(0, 2**31 - 1), max_size=30))
def test_dense_indexes_number_the_ids_from_zero_in_their_order(ids: list[int]) -> None:
    found = splitting.dense(np.array(ids, np.int32))
    assert found.dtype == np.int32
    assert found.tolist() == [sorted(set(ids)).index(number) for number in ids]


# --- folds


@given(MOMENTS, FRACTION, FRACTION)
def test_folds_follow_each_other_in_time_and_no_moment_is_in_two(
    moments: list[int], test_fraction: float, validation_fraction: float
) -> None:
    cuts = splitting.time_cuts(np.array(moments), test_fraction, validation_fraction)
    folds = splitting.folds(np.array(moments), cuts).to_pylist()
    at = {name: [m for m, fold in zip(moments, folds, strict=True) if fold == name] for name in set(folds)}
    train, validation, test = (at.get(name, []) for name in ("train", "validation", "test"))
    assert train
    assert max(train) < min(validation, default=math.inf)
    assert max(train + validation) < min(test, default=math.inf)
    assert len(train) + len(validation) + len(test) == len(moments)


@given(MOMENTS, FRACTION, FRACTION)
def test_the_share_of_a_fold_is_missed_by_less_than_one_moment(
    moments: list[int], test_fraction: float, validation_fraction: float
) -> None:
    cuts = splitting.time_cuts(np.array(moments), test_fraction, validation_fraction)
    folds = splitting.folds(np.array(moments), cuts).to_pylist()
    rows = len(moments)
    before_test = rows - folds.count("test")
    wanted = max(1, math.floor(rows * (1 - test_fraction) + 1e-9))
    assert wanted <= before_test
    assert sum(m < cuts.test for m in moments) < wanted
    wanted = max(1, math.floor(before_test * (1 - validation_fraction) + 1e-9))
    assert wanted <= folds.count("train")
    assert sum(m < cuts.train for m in moments) < wanted


def test_different_moments_are_split_exactly_as_asked() -> None:
    moments = np.random.default_rng(7).permutation(1_000) * 1_000_000
    folds = splitting.folds(moments, splitting.time_cuts(moments, 0.2, 0.1)).to_pylist()
    assert [folds.count(name) for name in ("train", "validation", "test")] == [720, 80, 200]


def test_rows_of_one_moment_stay_together_on_the_earlier_side() -> None:
    moments = np.array([1, 1, 1, 1, 2])
    assert splitting.folds(moments, splitting.time_cuts(moments, 0.6, 0.5)).to_pylist() == ["train"] * 4 + ["test"]
    same = np.array([5, 5, 5])
    assert splitting.folds(same, splitting.time_cuts(same, 0.5, 0.5)).to_pylist() == ["train"] * 3


def test_a_fraction_that_binary_numbers_miss_loses_no_row() -> None:
    assert [splitting.upto(rows, 0.9) for rows in (10, 100, 1_000)] == [1, 10, 100]
    assert [splitting.upto(10, fraction) for fraction in (0.1, 0.3, 0.7)] == [9, 7, 3]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_are_microseconds_whatever_the_unit(unit: str) -> None:
    moment = datetime(2020, 2, 29, 12, 30, 1, tzinfo=UTC)
    column = pa.chunked_array([pa.array([moment], pa.timestamp(unit, "UTC"))])
    assert splitting.microseconds(column).tolist() == [int(moment.timestamp()) * 1_000_000]


def test_a_moment_is_written_in_utc() -> None:
    assert splitting.timestamp(1_582_979_401_000_001) == "2020-02-29T12:30:01.000001Z"


@pytest.mark.parametrize("largest", [9, 2**31 - 1], ids=["by a table", "by sorting"])
def test_ids_are_numbered_in_their_order_however_large_they_are(largest: int) -> None:
    ids = np.array([largest, 3, 3, 0, 7, largest], np.int32)
    assert splitting.dense(ids).tolist() == [3, 1, 1, 0, 2, 3]
    assert splitting.dense(ids).dtype == np.int32
