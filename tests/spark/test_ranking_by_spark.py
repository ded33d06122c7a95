"""Ranking metrics compared with those of pyspark.mllib."""

from __future__ import annotations

from typing import Any

import pytest

from support.ranking_cases import EPSILON, KS, evaluate_lists, means, random_case

pytestmark = pytest.mark.spark


def test_means_equal_pysparks_ranking_metrics_and_it_counts_the_users_we_leave_out(spark: Any) -> None:
    from pyspark.mllib.evaluation import RankingMetrics

    lists, sets = random_case(9)
    theirs = RankingMetrics(spark.sparkContext.parallelize(list(zip(lists, sets, strict=True)), 2))
    with_nobody = RankingMetrics(spark.sparkContext.parallelize([(lists[1], sets[1]), (lists[0], [])], 1))
    ours, alone = means(evaluate_lists(lists, sets)), means(evaluate_lists(lists[:2], [[], sets[1]]))
    names = {
        "precision": "precisionAt", "recall": "recallAt", "ndcg": "ndcgAt", "map": "meanAveragePrecisionAt"
    }  # fmt: skip
    for name, method in names.items():
        for k in KS:
            assert ours[f"{name}@{k}"] == pytest.approx(getattr(theirs, method)(k), abs=EPSILON), f"{name}@{k}"
            half = getattr(with_nobody, method)(k)
            assert alone[f"{name}@{k}"] == pytest.approx(2 * half, abs=EPSILON), f"{name}@{k}"
