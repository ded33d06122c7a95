"""Coverage, Gini, novelty, popularity, diversity and strata: worked by hand, compared with scipy, and properties."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from reco_platform.evaluation import beyond_accuracy
from reco_platform.evaluation.beyond_accuracy import (
    ITEM_STRATA,
    activity_quartiles,
    catalogue_metrics,
    exposure,
    genre_diversity,
    gini,
    item_strata,
    list_property_sums,
    popularity_percentiles,
    self_information,
    stratum_shares,
)
from reco_platform.evaluation.user_sums import UserSums, metric_values

LISTS = np.array([[0, 1, 2], [0, 3, -1], [-1, -1, -1]], np.int32)  # the last user has none
COUNTS = np.array([8, 4, 2, 2, 1])
GENRES = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]], bool)


def values(sums: UserSums) -> dict[str, float | None]:
    return {name: entry.value for name, entry in metric_values(sums).items()}


def test_three_users_worked_by_hand() -> None:
    found = values(list_property_sums(LISTS, (2, 3), COUNTS, 16, GENRES))
    # -log2 of 8/16, 4/16, 2/16, 2/16, 1/16 is 1, 2, 3, 3, 4 bits
    assert found["novelty@2"] == pytest.approx(((1 + 2) / 2 + (1 + 3) / 2) / 2, abs=1e-9)
    assert found["novelty@3"] == pytest.approx(((1 + 2 + 3) / 3 + (1 + 3) / 2) / 2, abs=1e-9)
    # of five items: one has fewer ratings than items 2 and 3, which share theirs, and so on
    percentiles = [90.0, 70.0, 100 * (1 + 1) / 5, 100 * (1 + 1) / 5, 10.0]
    np.testing.assert_allclose(popularity_percentiles(COUNTS), percentiles)
    assert found["popularity_percentile@2"] == pytest.approx(((90 + 70) / 2 + (90 + 40) / 2) / 2, abs=1e-9)
    # user 0: {a, b} to {a} 1 - 1/2, {a, b} to {c} 1, {a} to {c} 1; user 1: item 3 has no genres, so no pair counts
    assert found["genre_diversity@2"] == pytest.approx(1 / 2, abs=1e-9)
    assert found["genre_diversity@3"] == pytest.approx((1 / 2 + 1 + 1) / 3, abs=1e-9)


def test_coverage_worked_by_hand() -> None:
    found = {name: entry.value for name, entry in catalogue_metrics(LISTS, (2, 3), 5, users=4).items()}
    assert found == {
        "user_coverage": 2 / 4,  # one of three rows is empty, and one user has no row
        "full_list_coverage@2": 2 / 4,
        "full_list_coverage@3": 1 / 4,
        "catalogue_coverage@2": 3 / 5,
        "catalogue_coverage@3": 4 / 5,
        "gini@2": pytest.approx((-4 * 0 - 2 * 0 + 0 * 1 + 2 * 1 + 4 * 2) / (5 * 4)),  # shown 0 0 1 1 2 times
        "gini@3": pytest.approx((-4 * 0 - 2 * 1 + 0 * 1 + 2 * 1 + 4 * 2) / (5 * 5)),
    }


def test_without_lists_there_are_reasons_and_no_warnings() -> None:
    none = np.full((2, 3), -1, np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {
            **metric_values(list_property_sums(none, (3,), COUNTS, 16, GENRES)),
            **catalogue_metrics(none, (3,), 5, 2),
        }
        shares = stratum_shares(none, 3, item_strata(COUNTS))
    assert {name for name, entry in found.items() if entry.value is None} == {
        "novelty@3", "popularity_percentile@3", "genre_diversity@3", "gini@3"
    }  # fmt: skip
    assert {entry.missing_because for entry in found.values()} == {
        None,
        "no user has a value",
        "no user has a list",
    }
    assert found["catalogue_coverage@3"].value == found["user_coverage"].value == 0
    assert all(entry.value is None for entry in shares.values())


def test_no_users_and_no_items_give_reasons() -> None:
    found = catalogue_metrics(np.empty((0, 3), np.int32), (3,), 0, 0)
    assert all(entry.value is None and entry.missing_because for entry in found.values())


@pytest.mark.parametrize("shown", [[3, 3, 3, 3], [7]])
def test_gini_of_equal_exposure_is_0(shown: list[int]) -> None:
    assert gini(np.array(shown)).value == 0


def test_gini_of_a_single_item_shown_is_1_minus_1_over_n() -> None:
    assert gini(np.array([0, 0, 9, 0])).value == 1 - 1 / 4


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any))
def test_gini_is_half_the_mean_difference_over_the_mean(shown: list[int]) -> None:
    each = np.array(shown)
    differences = np.abs(each[:, None] - each).mean()
    assert gini(each).value == pytest.approx(differences / (2 * each.mean()), abs=1e-9)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30))
def test_percentiles_are_scipys_means_of_ranks(counts: list[int]) -> None:
    expected = [percentileofscore(counts, count, "mean") for count in counts]
    np.testing.assert_allclose(popularity_percentiles(np.array(counts)), expected, atol=1e-9)


def test_an_item_without_ratings_is_as_novel_as_one_with_a_single_rating() -> None:
    np.testing.assert_array_equal(self_information(np.array([0, 1, 1024]), 1024), [10, 10, 0])


def jaccard_distance(one: Any, other: Any) -> float | None:
    if not one.any() or not other.any():
        return None
    return 1 - float((one & other).sum() / (one | other).sum())


@given(st.integers(0, 2**32), st.sampled_from([1, 3, 20, 64, 65, 130]))
@settings(max_examples=40)
def test_genre_diversity_is_the_mean_over_pairs_for_any_number_of_genres(seed: int, width: int) -> None:
    random = np.random.default_rng(seed)
    genres = random.random((9, width)) < random.uniform(0, 0.6)
    lists = np.array([random.permutation(9)[:5] for _ in range(4)], np.int32)
    lists[1, 3:] = -1
    ks = (5, 2, 3)
    found = genre_diversity(lists, ks, genres)
    for at, k in enumerate(ks):
        for user, items in enumerate(lists):
            own = [item for item in items[:k] if item >= 0]
            pairs = [jaccard_distance(genres[i], genres[j]) for at_i, i in enumerate(own) for j in own[:at_i]]
            known = [distance for distance in pairs if distance is not None]
            assert found.denominators[user, at] == bool(known)
            assert found.numerators[user, at] == pytest.approx(np.mean(known) if known else 0, abs=1e-12)


def test_block_size_does_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    lists = np.array([random.permutation(5)[:3] for _ in range(50)], np.int32)
    whole = list_property_sums(lists, (2, 3), COUNTS, 16, GENRES).numerators
    monkeypatch.setattr(beyond_accuracy, "BLOCK_CELLS", 10)
    np.testing.assert_array_equal(list_property_sums(lists, (2, 3), COUNTS, 16, GENRES).numerators, whole)


# --- strata


def names(labels: Any) -> list[str]:
    return [ITEM_STRATA[label] for label in labels]


def test_head_middle_and_tail_hold_the_first_20_the_next_60_and_the_last_20_percent() -> None:
    # of 100 ratings, more popular items hold: 0, 15, 25, 55, 79, 80, 90, 100
    counts = np.array([15, 10, 30, 24, 1, 10, 10, 0])
    # sorted: 30 24 15 10 10 10 1 0, with 0 30 54 69 69 69 99 100 above them
    assert names(item_strata(counts)) == ["middle", "middle", "head", "middle", "tail", "middle", "middle", "tail"]


def test_strata_begin_exactly_at_their_share() -> None:
    assert names(item_strata(np.array([10, 10, 9, *[8] * 4, *[7] * 2, *[5] * 5]))) == [
        *["head"] * 2, *["middle"] * 7, *["middle"] * 5
    ]  # fmt: skip
    assert names(item_strata(np.array([20, 19, 18, 17, 16, 4, 3, 2, 1]))) == [
        "head", "middle", "middle", "middle", "middle", *["tail"] * 4
    ]  # fmt: skip


def test_items_with_equal_counts_are_in_the_same_stratum() -> None:
    assert names(item_strata(np.array([3, 3, 3, 3]))) == ["head"] * 4


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_strata_follow_popularity_and_the_head_is_never_empty_of_ratings(counts: list[int]) -> None:
    each, labels = np.array(counts), item_strata(np.array(counts))
    assert (np.diff(labels[np.argsort(-each, kind="stable")]) >= 0).all()
    assert each.sum() == 0 or labels[each.argmax()] == 0
    assert each[labels == 2].sum() <= each.sum() / 5 + each.max()


def test_shares_of_exposure_add_up_to_1() -> None:
    found = stratum_shares(LISTS, 2, np.array([0, 1, 1, 2, 2], np.int8))
    assert {name: entry.value for name, entry in found.items()} == {
        "head": 2 / 4,
        "middle": 1 / 4,
        "tail": 1 / 4,
    }


def test_quartiles_of_users_hold_a_quarter_each_where_counts_differ() -> None:
    np.testing.assert_array_equal(
        activity_quartiles(np.array([80, 10, 20, 70, 30, 60, 40, 50])), [3, 0, 0, 3, 1, 2, 1, 2]
    )


def test_users_with_equal_counts_are_in_the_same_quartile() -> None:
    np.testing.assert_array_equal(activity_quartiles(np.array([5, 5, 5, 9])), [0, 0, 0, 3])
    assert len(activity_quartiles(np.empty(0, np.int64))) == 0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_exposure_counts_lists_that_show_an_item(items: list[int]) -> None:
    lists = np.array([[item, -1] for item in items], np.int32)
    np.testing.assert_array_equal(exposure(lists, 2, 5), np.bincount(items, minlength=5))
