"""The latest rating of each pair, three kinds of folds, and their checks, against plain Python."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from reco_platform.contracts.tables import INTERACTIONS
from reco_platform.core.errors import DataError
from reco_platform.splits import latest
from reco_platform.splits import split as splitting
from reco_platform.splits.checks import check_leaks
from reco_platform.splits.folds import Cuts, Split, utc_text
from reco_platform.splits.interactions import FOLDS, microseconds
from reco_platform.splits.latest import IdIndex, LatestRatings, latest_ratings

Rating = tuple[int, int, int]  # user, movie, moment

DAY = 86_400_000_000
UNHURRIED = settings(deadline=None, max_examples=60)  # the first call compiles
ROW = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 6))
EDGE = st.sampled_from([0, 1, 2**31 - 1])
FRACTION = st.floats(0.01, 0.99)
MOMENTS = st.lists(st.integers(0, 30) | st.sampled_from([-(10**15), 10**15]), min_size=1, max_size=60)
PAIRS = st.dictionaries(st.tuples(st.integers(0, 5), st.integers(0, 9)), st.integers(0, 8), min_size=1, max_size=60)
DEFAULTS = {
    "split": "global_time", "test_fraction": 0.2, "validation_fraction": 0.1, "validation_from": None,
    "test_from": None, "last_k": None, "split_seed": 42,
}  # fmt: skip


def table(ratings: Sequence[Rating]) -> pa.Table:
    """Silver ratings; each one's value is its place, so that it can be told from the others."""
    users, movies, moments = zip(*ratings, strict=True) if ratings else ((), (), ())
    return pa.table(
        {
            "user_id": pa.array(users, pa.int32()),
            "movie_id": pa.array(movies, pa.int32()),
            "rating": pa.array([float(number) for number in range(len(ratings))], pa.float32()),
            "rating_ts": pa.array(moments, pa.timestamp("us", "UTC")),
        }
    )


def rows_of(ratings: Sequence[Rating]) -> LatestRatings:
    return latest_ratings(table(ratings))


def of_pairs(moments: dict[tuple[int, int], int]) -> list[Rating]:
    return [(user, movie, moment) for (user, movie), moment in moments.items()]


def of_user(moments: Sequence[int], user: int = 1) -> list[Rating]:
    """Ratings of one user, of the movies 0, 1, 2 and so on."""
    return [(user, movie, moment) for movie, moment in enumerate(moments)]


def in_table(rows: LatestRatings, fold: Any = None) -> list[dict[str, Any]]:
    fold = np.zeros(len(rows), np.int8) if fold is None else fold
    found: list[dict[str, Any]] = rows.table(fold, 0, len(rows)).to_pylist()
    return found


def split(ratings: Sequence[Rating], **params: Any) -> dict[tuple[int, int], str]:
    """The fold of each (user, movie)."""
    rows = rows_of(ratings)
    made = splitting.unchecked_split(rows, {**DEFAULTS, **params})
    check_leaks(rows, made)
    return {(row["user_id"], row["movie_id"]): row["fold"] for row in in_table(rows, made.fold)}


def names(fold: Any) -> list[str]:
    return [FOLDS[number] for number in fold]


# --- the latest


@UNHURRIED
@given(st.lists(ROW | st.tuples(EDGE, EDGE, st.integers(0, 3)), unique=True, max_size=40), st.integers(1, 3))
def test_each_pair_keeps_its_latest_rating_sorted_by_user_and_movie(ratings: list[Rating], threads: int) -> None:
    expected: dict[tuple[int, int], tuple[int, float]] = {}
    for number, (user, movie, moment) in enumerate(ratings):
        if moment >= expected.get((user, movie), (-1, 0))[0]:
            expected[user, movie] = (moment, float(number))
    found = in_table(latest_ratings(table(ratings), threads))
    assert [(row["user_id"], row["movie_id"]) for row in found] == sorted(expected)
    assert [row["rating"] for row in found] == [expected[pair][1] for pair in sorted(expected)]
    assert [int(row["rating_ts"].timestamp() * 1e6) for row in found] == [expected[p][0] for p in sorted(expected)]


@UNHURRIED
@given(st.lists(ROW, unique=True, max_size=40), st.randoms())
def test_the_order_of_ratings_does_not_matter(ratings: list[Rating], random: Random) -> None:
    before = in_table(rows_of(ratings))
    shuffled = random.sample(ratings, len(ratings))
    assert [{**row, "rating": 0} for row in in_table(rows_of(shuffled))] == [{**row, "rating": 0} for row in before]


@pytest.mark.parametrize("largest", [3_000, 2**31 - 1], ids=["small ids", "large ids"])
def test_the_number_of_threads_and_of_chunks_does_not_matter(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "BATCH_ROWS", 100)
    random = np.random.default_rng(3)
    users, movies = (random.choice(random.integers(0, largest, 50), 3_000) for _ in range(2))
    ratings = table(
        sorted(set(zip(users.tolist(), movies.tolist(), random.integers(0, 9, 3_000).tolist(), strict=True)))
    )
    chunked = pa.concat_tables([ratings.slice(first, 700) for first in range(0, len(ratings), 700)])
    expected = in_table(latest_ratings(ratings, 1))
    assert len(expected) < len(ratings)
    for threads in (2, 3, 40):
        assert in_table(latest_ratings(chunked, threads)) == expected


@UNHURRIED
@given(st.lists(st.integers(0, 2**31 - 1), max_size=30) | st.lists(st.integers(0, 20), max_size=30))
def test_indexes_number_the_ids_from_zero_in_their_order(ids: list[int]) -> None:
    index = IdIndex.of([np.array(ids[:10], np.int32), np.array(ids[10:], np.int32)])
    found = index.numbers(np.array(ids, np.int32))
    assert found.dtype == np.int32
    assert found.tolist() == [sorted(set(ids)).index(number) for number in ids]
    assert index.ids.tolist() == sorted(set(ids))


def test_a_part_of_the_table_is_as_the_whole_and_as_the_contract_says() -> None:
    rows = rows_of([(user, movie, user + movie) for user in (1, 5, 9) for movie in (2, 3, 4)])
    fold = np.array([0, 1, 2] * 3, np.int8)
    whole = rows.table(fold, 0, 9)
    assert whole["user_index"].to_pylist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert whole["movie_index"].to_pylist() == [0, 1, 2] * 3
    assert whole["fold"].to_pylist() == list(FOLDS) * 3
    for first, end in ((0, 4), (4, 5), (2, 9), (6, 6)):
        assert rows.table(fold, first, end).to_pylist() == whole.slice(first, end - first).to_pylist()
    assert whole.cast(INTERACTIONS.schema).schema == INTERACTIONS.schema


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_are_microseconds_whatever_the_unit(unit: str) -> None:
    moment = datetime(2020, 2, 29, 12, 30, 1, tzinfo=UTC)
    column = pa.chunked_array([pa.array([moment], pa.timestamp(unit, "UTC"))])
    assert microseconds(column).tolist() == [int(moment.timestamp()) * 1_000_000]


def test_a_moment_is_written_in_utc() -> None:
    assert utc_text(1_582_979_401_000_001) == "2020-02-29T12:30:01.000001Z"


# --- by time, by rows


@UNHURRIED
@given(MOMENTS, FRACTION, FRACTION)
def test_folds_follow_each_other_in_time_and_no_moment_is_in_two(
    moments: list[int], test_fraction: float, validation_fraction: float
) -> None:
    cuts = splitting.cuts_by_count(np.array(moments), test_fraction, validation_fraction)
    folds = names(splitting.folds_by_cuts(np.array(moments), cuts))
    at = {name: [m for m, fold in zip(moments, folds, strict=True) if fold == name] for name in set(folds)}
    train, validation, test = (at.get(name, []) for name in FOLDS)
    assert train
    assert max(train) < min(validation, default=math.inf)
    assert max(train + validation) < min(test, default=math.inf)
    assert len(train) + len(validation) + len(test) == len(moments)


@UNHURRIED
@given(MOMENTS, FRACTION, FRACTION)
def test_the_share_of_a_fold_is_missed_by_less_than_one_moment(
    moments: list[int], test_fraction: float, validation_fraction: float
) -> None:
    cuts = splitting.cuts_by_count(np.array(moments), test_fraction, validation_fraction)
    folds = names(splitting.folds_by_cuts(np.array(moments), cuts))
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
    folds = names(splitting.folds_by_cuts(moments, splitting.cuts_by_count(moments, 0.2, 0.1)))
    assert [folds.count(name) for name in FOLDS] == [720, 80, 200]


def test_rows_of_one_moment_stay_together_on_the_earlier_side() -> None:
    def folds(moments: list[int], test_fraction: float) -> list[str]:
        values = np.array(moments)
        return names(splitting.folds_by_cuts(values, splitting.cuts_by_count(values, test_fraction, 0.5)))

    assert folds([1, 1, 1, 1, 2], 0.6) == ["train"] * 4 + ["test"]
    assert folds([5, 5, 5], 0.5) == ["train"] * 3


def test_a_fraction_that_binary_numbers_miss_loses_no_row() -> None:
    assert [int(splitting.rows_before(rows, 0.9)) for rows in (10, 100, 1_000)] == [1, 10, 100]
    assert [int(splitting.rows_before(10, fraction)) for fraction in (0.1, 0.3, 0.7)] == [9, 7, 3]


@UNHURRIED
@given(st.lists(st.integers(-(2**40), 2**61), min_size=1, max_size=50) | MOMENTS, st.data())
def test_the_value_at_a_place_is_that_of_the_sorted_values(values: list[int], data: st.DataObject) -> None:
    number = data.draw(st.integers(1, len(values)))
    assert splitting.nth_smallest(np.array(values), number) == sorted(values)[number - 1]


# --- by time, by date


def test_dates_cut_at_midnight_utc_and_midnight_belongs_to_its_day() -> None:
    first, second = (int(datetime(2015, 1, day, tzinfo=UTC).timestamp()) * 1_000_000 for day in (2, 5))
    folds = split(
        of_user([first - DAY, first - 1, first, second - 1, second, second + DAY]),
        validation_from="2015-01-02",
        test_from="2015-01-05",
    )
    assert list(folds.values()) == ["train", "train", "validation", "validation", "test", "test"]


@pytest.mark.parametrize(
    ("validation_from", "test_from", "empty"),
    [
        ("1970-01-03", "1971-01-01", "test"),
        ("1960-01-01", "1970-01-04", "train"),
        ("1970-01-05", "1970-01-06", "validation"),
    ],
)
def test_a_date_that_leaves_a_fold_empty_is_refused_with_the_range_of_the_data(
    validation_from: str, test_from: str, empty: str
) -> None:
    rows = rows_of(of_user([DAY, 2 * DAY, 3 * DAY, 8 * DAY]))
    with pytest.raises(DataError, match=f"no row in the {empty} fold: .*{validation_from}.*{test_from}") as error:
        splitting.split(rows, {**DEFAULTS, "validation_from": validation_from, "test_from": test_from})
    assert "from 1970-01-02T00:00:00.000000Z to 1970-01-09T00:00:00.000000Z" in str(error.value)


# --- the last of each user


def test_the_last_share_of_each_user_is_cut_off_by_that_users_own_time() -> None:
    early, late = of_user(range(10), user=1), of_user(range(100, 120), user=2)
    folds = split(early + late, split="user_time", test_fraction=0.2, validation_fraction=0.25)
    assert [folds[1, movie] for movie in range(10)] == ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    assert [folds[2, movie] for movie in range(20)] == ["train"] * 12 + ["validation"] * 4 + ["test"] * 4


def test_the_last_k_of_each_user_are_test_and_the_k_before_validation() -> None:
    folds = split([*of_user([50, 40, 30, 20, 10], user=1), *of_user([1, 2, 3], user=2)], split="user_time", last_k=2)
    assert [folds[1, movie] for movie in range(5)] == ["test", "test", "validation", "validation", "train"]
    assert [folds[2, movie] for movie in range(3)] == ["train", "test", "test"]


def test_rows_of_one_moment_of_one_user_count_in_order_of_movie() -> None:
    ratings = [(1, movie, 7) for movie in (30, 10, 40, 20)]
    expected = {(1, 10): "train", (1, 20): "train", (1, 30): "validation", (1, 40): "test"}
    assert split(ratings, split="user_time", last_k=1) == expected


@UNHURRIED
@given(PAIRS, FRACTION, FRACTION, st.none() | st.integers(1, 4))
def test_each_user_keeps_a_row_in_train_and_none_later_than_a_later_fold(
    moments: dict[tuple[int, int], int], test_fraction: float, validation_fraction: float, last_k: int | None
) -> None:
    chosen = {"test_fraction": test_fraction, "validation_fraction": validation_fraction, "last_k": last_k}
    folds = split(of_pairs(moments), split="user_time", **chosen)
    assert folds.keys() == moments.keys()
    of_each: dict[int, list[tuple[tuple[int, int], str]]] = defaultdict(list)
    for (user, movie), fold in folds.items():
        of_each[user].append(((moments[user, movie], movie), fold))
    for rows in of_each.values():
        in_time = [FOLDS.index(fold) for _, fold in sorted(rows)]
        assert in_time == sorted(in_time)
        assert in_time[0] == 0
        size = len(in_time)
        kept = size - in_time.count(2)
        if last_k:
            assert in_time.count(2) == min(last_k, size - 1)
            assert in_time.count(1) == min(last_k, kept - 1)
        else:
            assert kept == max(1, math.floor(size * (1 - test_fraction) + 1e-9))
            assert in_time.count(0) == max(1, math.floor(kept * (1 - validation_fraction) + 1e-9))


# --- at random


GRID = [(user, movie, 0) for user in range(20) for movie in range(50)]


def test_random_folds_have_exactly_the_shares_asked_for() -> None:
    folds = list(split(GRID, split="random").values())
    assert [folds.count(name) for name in FOLDS] == [720, 80, 200]


def test_random_folds_are_pinned_to_seed_and_ids() -> None:
    """The same on every machine and with every version: the values are those of SplitMix64 in plain Python."""
    rows = rows_of([(1, 1, 0), (1, 2, 0), (2, 1, 0)])
    assert splitting.random_draws(rows, 42).tolist() == [1048674264067340706, 869575471529202048, 7140468071463717853]


def test_random_folds_do_not_depend_on_time_and_differ_by_seed() -> None:
    before = split(GRID, split="random")
    assert split([(user, movie, user * 7 + movie) for user, movie, _ in GRID], split="random") == before
    others = split(GRID, split="random", split_seed=43)
    both = sum(before[pair] == others[pair] == "test" for pair in before)
    assert 20 <= both <= 65  # 40 expected of two independent draws of a fifth of 1,000; six standard deviations


def test_random_test_rows_are_spread_evenly_over_users_and_movies() -> None:
    test = [pair for pair, fold in split(GRID, split="random").items() if fold == "test"]
    for side, size in ((0, 20), (1, 50)):
        counts = np.bincount([pair[side] for pair in test], minlength=size)
        expected = len(test) / size
        assert ((counts - expected) ** 2).sum() / expected < 2 * size  # chi-squared of size - 1 degrees, p < 0.01


# --- all kinds

KINDS: list[dict[str, Any]] = [
    {"split": "global_time"},
    {"split": "global_time", "validation_from": "1970-01-03", "test_from": "1970-01-05"},
    {"split": "user_time"},
    {"split": "user_time", "last_k": 1},
    {"split": "random"},
]
NAMES = ["by rows", "by date", "last share", "last k", "random"]


@pytest.mark.parametrize("params", KINDS, ids=NAMES)
@UNHURRIED
@given(moments=PAIRS, random=st.randoms())
def test_folds_hold_each_row_once_and_do_not_depend_on_the_order_of_rows(
    params: dict[str, Any], moments: dict[tuple[int, int], int], random: Random
) -> None:
    ratings = [(user, movie, moment * DAY) for user, movie, moment in of_pairs(moments)]
    folds = split(ratings, **params)
    assert folds.keys() == moments.keys()
    assert set(folds.values()) <= set(FOLDS)
    assert split(random.sample(ratings, len(ratings)), **params) == folds


@pytest.mark.parametrize("params", KINDS, ids=NAMES)
def test_the_facts_count_what_the_folds_hold(params: dict[str, Any]) -> None:
    random = np.random.default_rng(5)
    pairs = {(int(u), int(m)): int(t) * DAY // 24 for u, m, t in random.integers(0, [12, 30, 216], (90, 3))}
    rows = rows_of(of_pairs(pairs))
    made = splitting.split(rows, {**DEFAULTS, **params})
    found = splitting.split_facts(rows, made)
    at: dict[str, list[tuple[int, int]]] = {name: [] for name in FOLDS}
    for row in in_table(rows, made.fold):
        at[row["fold"]].append((row["user_id"], row["movie_id"]))
    assert found["split"] == params["split"]
    assert found["train_count"] == len(at["train"]) + len(at["validation"])
    assert (found["validation_count"], found["test_count"]) == (len(at["validation"]), len(at["test"]))
    assert list(found["folds"]) == list(FOLDS)
    known: list[tuple[int, int]] = []
    for name in FOLDS:
        users, movies = ({pair[side] for pair in at[name]} for side in (0, 1))
        old_users, old_movies = ({pair[side] for pair in known} for side in (0, 1))
        expected = {"rows": len(at[name]), "users": len(users), "movies": len(movies)}
        if name != "train":
            expected |= {
                "warm_users": len(users & old_users),
                "cold_users": len(users - old_users),
                "warm_movies": len(movies & old_movies),
                "cold_movies": len(movies - old_movies),
                "warm_rows": sum(user in old_users and movie in old_movies for user, movie in at[name]),
            }
        assert found["folds"][name] == expected
        known += at[name]


def test_the_facts_of_a_split_by_time_name_its_cuts_and_others_have_none() -> None:
    rows = rows_of([(user, movie, (user * 5 + movie) * DAY) for user in range(4) for movie in range(5)])
    by_rows = splitting.split_facts(rows, splitting.split(rows, DEFAULTS))
    assert by_rows["validation_after"] == "1970-01-14T00:00:00.000000Z"
    assert by_rows["test_after"] == "1970-01-16T00:00:00.000000Z"
    dates = {"validation_from": "1970-01-10", "test_from": "1970-01-15"}
    by_date = splitting.split_facts(rows, splitting.split(rows, {**DEFAULTS, **dates}))
    assert by_date["validation_after"] == "1970-01-09T23:59:59.999999Z"
    assert by_date["test_after"] == "1970-01-14T23:59:59.999999Z"
    for kind in ("user_time", "random"):
        assert "test_after" not in splitting.split_facts(rows, splitting.split(rows, {**DEFAULTS, "split": kind}))


@pytest.mark.parametrize(("kind", "warm"), [("random", 0.960), ("user_time", 0.917), ("global_time", 0.065)])
def test_the_warm_shares_of_real_ratings_are_the_published_ones(latest_small: Path, kind: str, warm: float) -> None:
    """Found by other code, before this one was written."""
    read = csv.read_csv(latest_small / "ratings.csv")
    columns = [read["userId"], read["movieId"], read["rating"], read["timestamp"].cast(pa.timestamp("s", "UTC"))]
    ratings = pa.table(columns, names=table([]).column_names).cast(table([]).schema)
    rows = latest_ratings(ratings, 2)
    found = splitting.split_facts(rows, splitting.split(rows, {**DEFAULTS, "split": kind}))
    assert len(rows) == 100_836
    assert found["folds"]["test"]["warm_rows"] / found["test_count"] == pytest.approx(warm, abs=0.0005)


# --- what is refused


@pytest.mark.parametrize("kind", ["global_time", "random"])
def test_no_ratings_are_refused(kind: str) -> None:
    with pytest.raises(DataError, match="no ratings to split"):
        splitting.split(rows_of([]), {**DEFAULTS, "split": kind})


@pytest.mark.parametrize(
    ("ratings", "params", "empty", "why"),
    [
        (of_user([5] * 10), {}, "validation or the test", "share one moment"),
        (of_user([1, 2]), {}, "validation", "too few"),
        (of_user([1, 2, 2, 2]), {"validation_fraction": 0.9}, "test", "share one moment"),
        ([(user, 1, 0) for user in range(9)], {"split": "user_time"}, "validation or the test", "too few each"),
        (of_user([1, 2]), {"split": "random"}, "validation", "too few"),
        ([], {"split": "user_time"}, "train or the validation or the test", "too few each"),
    ],
)
def test_an_empty_fold_is_refused_with_its_name_and_the_reason(
    ratings: list[Rating], params: dict[str, Any], empty: str, why: str
) -> None:
    with pytest.raises(DataError, match=f"no row in the {empty} fold: .*{why}"):
        splitting.split(rows_of(ratings), {**DEFAULTS, **params})


def test_a_repeated_pair_fails_the_check() -> None:
    rows = rows_of([(3, 8, 0), (4, 8, 1), (4, 9, 2)])
    twice = replace(rows, movie_index=np.array([0, 1, 1], np.int32))
    with pytest.raises(DataError, match="user 4 has more than one row of movie 9"):
        check_leaks(twice, Split("random", np.array([0, 1, 2], np.int8)))


@pytest.mark.parametrize(
    ("fold", "problem"),
    [
        ([0, 2, 1, 0, 2], "a train row is later than the cut .*000010Z: .*000040Z"),
        ([0, 1, 2, 1, 2], "a train or validation row is later than the cut .*000030Z: .*000040Z"),
        ([0, 0, 1, 2, 2], "a train row is later than the cut .*000010Z: .*000020Z"),
        ([1, 1, 1, 2, 2], "a validation or test row is not after the cut .*000010Z: .*000010Z"),
        ([0, 1, 2, 2, 2], "a test row is not after the cut .*000030Z: .*000030Z"),
    ],
)
def test_a_row_on_the_wrong_side_of_a_cut_in_time_fails_the_check(fold: list[int], problem: str) -> None:
    rows = rows_of(of_user([10, 20, 30, 40, 50]))
    check_leaks(rows, Split("global_time", np.array([0, 1, 1, 2, 2], np.int8), Cuts(10, 30)))
    with pytest.raises(DataError, match=problem):
        check_leaks(rows, Split("global_time", np.array(fold, np.int8), Cuts(10, 30)))


@pytest.mark.parametrize("fold", [[0, 2, 1], [1, 0, 2], [2, 1, 0], [2, 0, 0], [0, 2, 0]])
def test_a_row_later_than_one_of_a_later_fold_of_the_same_user_fails_the_check(fold: list[int]) -> None:
    rows = rows_of([*of_user([1, 1, 1], user=5), *of_user([10, 20, 30], user=6)])
    good = [2, 1, 0]  # all of one moment: any order is one in time
    check_leaks(rows, Split("user_time", np.array([*good, 0, 1, 2], np.int8)))
    with pytest.raises(DataError, match=r"user 6 has a row that is later than one of a later fold \(1 users have\)"):
        check_leaks(rows, Split("user_time", np.array([*good, *fold], np.int8)))
