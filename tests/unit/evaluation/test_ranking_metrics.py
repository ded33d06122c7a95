"""Ranking metrics: worked by hand, properties, and compared with trec_eval, scikit-learn and pyspark."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score  # type: ignore[import-untyped]

from reco_platform.evaluation import ranking_metrics
from reco_platform.evaluation.ranking_metrics import NAMES, ranking_sums, relevant_items
from reco_platform.evaluation.user_sums import UserSums, metric_values
from support.ranking_cases import EPSILON, KS, evaluate_lists, means, random_case, relevant_of

TREC = {"precision": "P", "recall": "recall", "ndcg": "ndcg_cut", "map": "map_cut", "hit_rate": "success"}


def column(sums: UserSums, name: str) -> np.ndarray[Any, Any]:
    return sums.numerators[:, [metric.name for metric in sums.metrics].index(name)]


def trec_eval_results(lists: list[Any], sets: list[Any], measures: set[str]) -> list[dict[str, float]]:
    """trec_eval's results for each user; falling scores give it our order."""
    truth = {f"u{user}": {f"i{item:03}": 1 for item in own} for user, own in enumerate(sets)}
    run = {f"u{user}": {f"i{item:03}": -float(at) for at, item in enumerate(own)} for user, own in enumerate(lists)}
    found = pytrec_eval.RelevanceEvaluator(truth, measures).evaluate(run)
    return [found[f"u{user}"] for user in range(len(lists))]


def test_three_users_worked_by_hand() -> None:
    # user 0 finds 1, 3 and 9 relevant and sees [1, 2, 3]: hits at ranks 1 and 3
    # user 1 finds 5 relevant and sees [4, 5]: a hit at rank 2, a list too short
    # user 2 finds 7 and 8 relevant and sees [1, 2, 3]: no hit
    sums = evaluate_lists([[1, 2, 3], [4, 5], [1, 2, 3]], [[1, 3, 9], [5], [7, 8]], (2, 3))
    by_hand: dict[str, list[float]] = {
        "precision@2": [1 / 2, 1 / 2, 0],
        "precision@3": [2 / 3, 1 / 3, 0],  # the denominator is k, however short the list
        "recall@2": [1 / 3, 1 / 1, 0],
        "recall@3": [2 / 3, 1 / 1, 0],
        "ndcg@2": [1 / (1 + 1 / math.log2(3)), 1 / math.log2(3), 0],
        "ndcg@3": [(1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2), 1 / math.log2(3), 0],
        "map@2": [(1 / 1) / 2, (1 / 2) / 1, 0],
        "map@3": [(1 / 1 + 2 / 3) / 3, (1 / 2) / 1, 0],
        "mrr@2": [1 / 1, 1 / 2, 0],
        "mrr@3": [1 / 1, 1 / 2, 0],
        "hit_rate@2": [1, 1, 0],
        "hit_rate@3": [1, 1, 0],
    }
    assert [metric.name for metric in sums.metrics] == list(by_hand)
    for name, each in by_hand.items():
        np.testing.assert_allclose(column(sums, name), each, rtol=1e-15)
        assert means(sums)[name] == pytest.approx(sum(each) / 3, abs=EPSILON)


def test_users_without_relevant_items_are_left_out_and_counted() -> None:
    sums = evaluate_lists([[1, 2, 3], [1, 2, 3]], [[], [2]], (3,))
    assert means(sums)["mrr@3"] == 1 / 2
    np.testing.assert_array_equal(sums.denominators, [[0], [1]])


@pytest.mark.parametrize("sets", [[[], []], []])
def test_without_relevant_items_there_are_reasons_and_no_warnings(sets: list[list[int]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metric_values(evaluate_lists([[1, 2]] * len(sets), sets, (2,)))
    assert {(entry.value, entry.missing_because) for entry in found.values()} == {(None, "no user has a value")}


def test_lists_shorter_than_k_are_refused() -> None:
    with pytest.raises(ValueError, match="lists of 2 items are too short for k = 1, 3"):
        ranking_sums(np.zeros((1, 2), np.int32), relevant_of([[0]]), (1, 3))


def test_block_size_does_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    lists, sets = random_case(1)
    whole = evaluate_lists(lists, sets).numerators
    monkeypatch.setattr(ranking_metrics, "BLOCK_CELLS", 37)
    np.testing.assert_array_equal(evaluate_lists(lists, sets).numerators, whole)


def test_pairs_in_any_order_are_grouped_by_user() -> None:
    found = relevant_items(np.array([2, 0, 2, 0]), np.array([5, 3, 1, 4]), 4, 6)
    np.testing.assert_array_equal(found.bounds, [0, 2, 2, 4, 4])
    np.testing.assert_array_equal(found.items, [3, 4, 1, 5])


def test_relevant_items_of_one_stratum() -> None:
    found = relevant_of([[1, 3], [2], [1, 2, 3]]).restricted_to(np.array([False, True, False, True]))
    np.testing.assert_array_equal(found.bounds, [0, 2, 2, 4])
    np.testing.assert_array_equal(found.items, [1, 3, 1, 3])


# --- compared with other libraries


@pytest.mark.parametrize("name", [name for name in TREC if name != "map"])
@pytest.mark.parametrize("seed", range(3))
def test_each_user_equals_trec_eval(name: str, seed: int) -> None:
    lists, sets = random_case(seed)
    theirs = trec_eval_results(lists, sets, {f"{TREC[name]}.{','.join(map(str, KS))}"})
    sums = evaluate_lists(lists, sets)
    for k in KS:
        expected = [own[f"{TREC[name]}_{k}"] for own in theirs]
        np.testing.assert_allclose(column(sums, f"{name}@{k}"), expected, atol=EPSILON)


@pytest.mark.parametrize("k", KS)
def test_mrr_equals_trec_evals_reciprocal_rank_of_lists_cut_at_k(k: int) -> None:
    lists, sets = random_case(4)
    theirs = [own["recip_rank"] for own in trec_eval_results([own[:k] for own in lists], sets, {"recip_rank"})]
    np.testing.assert_allclose(column(evaluate_lists(lists, sets), f"mrr@{k}"), theirs, atol=EPSILON)


@pytest.mark.parametrize("k", KS)
def test_map_is_trec_evals_with_another_denominator(k: int) -> None:
    """trec_eval (and ranx) divide by all relevant items, so that a perfect list of k may fall short of 1."""
    lists, sets = random_case(5)
    theirs = np.array([own[f"map_cut_{k}"] for own in trec_eval_results(lists, sets, {f"map_cut.{k}"})])
    relevant = np.array([len(own) for own in sets])
    ours = column(evaluate_lists(lists, sets), f"map@{k}")
    np.testing.assert_allclose(ours, theirs * relevant / np.minimum(relevant, k), atol=EPSILON)
    assert k > 5 or not np.allclose(ours, theirs)


def test_trec_eval_breaks_ties_by_name_where_we_keep_the_order_of_the_list() -> None:
    lists, sets = [[1, 2]], [[1]]
    tied = {"u0": {"i001": 1.0, "i002": 1.0}}
    theirs = pytrec_eval.RelevanceEvaluator({"u0": {"i001": 1}}, {"recip_rank"}).evaluate(tied)
    assert theirs["u0"]["recip_rank"] == 1 / 2  # the greater name first
    assert means(evaluate_lists(lists, sets, (2,)))["mrr@2"] == 1


def test_ndcg_equals_scikit_learn_where_every_item_is_ranked() -> None:
    random = np.random.default_rng(8)
    gains = random.integers(0, 2, (30, 12))
    gains[:, 0] = 1
    order = np.array([random.permutation(12) for _ in range(30)])
    scores = -np.argsort(order, axis=1)
    sums = evaluate_lists(order.tolist(), [np.flatnonzero(own).tolist() for own in gains])
    for k in KS:
        theirs = [ndcg_score(gains[[user]], scores[[user]], k=k) for user in range(30)]
        np.testing.assert_allclose(column(sums, f"ndcg@{k}"), theirs, atol=EPSILON)


def test_trec_eval_counts_users_without_relevant_items_as_0_and_we_leave_them_out() -> None:
    lists, sets = [[1, 2], [1, 2]], [[], [1]]
    truth, run = {"u0": {"i1": 0}, "u1": {"i1": 1}}, {"u0": {"i1": 2.0}, "u1": {"i1": 2.0}}
    theirs = pytrec_eval.RelevanceEvaluator(truth, {"recip_rank"}).evaluate(run)
    assert [own["recip_rank"] for own in theirs.values()] == [0, 1]
    assert means(evaluate_lists(lists, sets, (2,)))["mrr@2"] == 1


# --- properties


cases = st.integers(0, 2**32)


@given(cases)
@settings(max_examples=40)
def test_a_perfect_list_gives_1_in_all_but_precision_and_recall(seed: int) -> None:
    _, sets = random_case(seed, users=8)
    found = evaluate_lists([[*own, *range(100, 110)] for own in sets], sets)
    for name in NAMES:
        for k in KS:
            best = np.minimum([len(own) for own in sets], k)
            expected = {"precision": best / k, "recall": best / [len(own) for own in sets]}.get(name, np.ones(8))
            np.testing.assert_allclose(column(found, f"{name}@{k}"), expected, rtol=1e-12)


@given(cases)
@settings(max_examples=40)
def test_hits_at_the_start_are_at_least_as_good_as_hits_at_the_end(seed: int) -> None:
    lists, sets = random_case(seed, users=8)
    first = [sorted(own, key=lambda item, s=s: item not in s) for own, s in zip(lists, sets, strict=True)]  # type: ignore[misc]
    ahead, behind = evaluate_lists(first, sets), evaluate_lists([own[::-1] for own in first], sets)
    assert (ahead.numerators >= behind.numerators - 1e-12).all()


@given(cases)
@settings(max_examples=40)
def test_values_lie_between_0_and_1_and_grow_with_k_but_for_precision(seed: int) -> None:
    sums = evaluate_lists(*random_case(seed, users=8))
    assert ((sums.numerators >= 0) & (sums.numerators <= 1 + 1e-12)).all()
    for name in ("recall", "mrr", "hit_rate"):
        grown = np.column_stack([column(sums, f"{name}@{k}") for k in KS])
        assert (np.diff(grown, axis=1) >= 0).all()


@given(cases)
@settings(max_examples=40)
def test_the_order_of_users_changes_no_mean_and_neither_does_doubling_them(seed: int) -> None:
    lists, sets = random_case(seed, users=8)
    before = means(evaluate_lists(lists, sets))
    order = np.random.default_rng(seed).permutation(8)
    shuffled = means(evaluate_lists([lists[at] for at in order], [sets[at] for at in order]))
    assert shuffled == pytest.approx(before, abs=EPSILON)
    assert means(evaluate_lists(lists * 2, sets * 2)) == pytest.approx(before, abs=EPSILON)


@given(cases)
@settings(max_examples=40)
def test_renumbering_the_items_changes_nothing(seed: int) -> None:
    lists, sets = random_case(seed, users=8)
    names = np.random.default_rng(seed).permutation(40)
    renamed = evaluate_lists(
        [names[own].tolist() if own else [] for own in lists], [names[own].tolist() for own in sets]
    )
    np.testing.assert_array_equal(renamed.numerators, evaluate_lists(lists, sets).numerators)
