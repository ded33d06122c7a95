"""Random lists and relevant items for ranking metrics, and their metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from reco_platform.evaluation.ranking_metrics import RelevantItems, ranking_sums
from reco_platform.evaluation.user_sums import UserSums, metric_values

KS = (1, 3, 5, 10)
EPSILON = 1e-9


def relevant_of(sets: list[list[int]]) -> RelevantItems:
    own = [np.array(sorted(items), np.int32) for items in sets]
    return RelevantItems(np.cumsum([0, *map(len, own)], dtype=np.int64), np.concatenate([np.empty(0, np.int32), *own]))


def evaluate_lists(lists: list[list[int]], sets: list[list[int]], ks: tuple[int, ...] = KS) -> UserSums:
    width = max([*ks, *map(len, lists)])
    padded = np.array([[*items, *[-1] * (width - len(items))] for items in lists], np.int32).reshape(-1, width)
    return ranking_sums(padded, relevant_of(sets), ks)


def means(sums: UserSums) -> dict[str, float | None]:
    return {name: entry.value for name, entry in metric_values(sums).items()}


def random_case(seed: int, users: int = 60, items: int = 40, longest: int = 12) -> tuple[list[Any], list[Any]]:
    """Lists of 0 to `longest` items; each user with at least one relevant item."""
    random = np.random.default_rng(seed)
    lists = [random.permutation(items)[: random.integers(0, longest + 1)].tolist() for _ in range(users)]
    sets = [random.permutation(items)[: random.integers(1, 15)].tolist() for _ in range(users)]
    return lists, sets
