"""Ranking metrics of the first k items of each user's list. docs/metrics.md defines each of them.

Sources: Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002 (NDCG);
Voorhees, The TREC-8 question answering track report, 1999 (MRR); Manning, Raghavan and Schütze, Introduction to
Information Retrieval, 2008, chapter 8 (precision, recall, average precision).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array, Int32Array, Int64Array
from reco_platform.evaluation import ranking_kernels
from reco_platform.evaluation.user_sums import Metric, UserSums, means
from reco_platform.models.topn import kernels as topn_kernels

NAMES = ("precision", "recall", "ndcg", "map", "mrr", "hit_rate")
BLOCK_CELLS = 1 << 21  # cells of lists per block: 16 MB in each float64 array


@dataclass(frozen=True)
class RelevantItems:
    """The relevant items of user j are items[bounds[j]:bounds[j + 1]]: distinct positions in rising order."""

    bounds: Int64Array
    items: Int32Array

    @property
    def counts(self) -> Int64Array:
        """The number of relevant items of each user, shape (users,)."""
        return np.diff(self.bounds)

    def restricted_to(self, members: BoolArray) -> RelevantItems:
        """Only the items of a group, such as a stratum; `members` has shape (items,)."""
        keep = members[self.items]
        return RelevantItems(np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])[self.bounds], self.items[keep])


def relevant_items(users: Int32Array, items: Int32Array, user_count: int, item_count: int) -> RelevantItems:
    """The relevant items by user, from positions of users and items in any order, shape (rows,) each."""
    return RelevantItems(
        *topn_kernels.group_pairs(users.astype(np.int32), items.astype(np.int32), user_count, item_count)
    )


def ranking_sums(lists: Int32Array, relevant: RelevantItems, ks: Sequence[int]) -> UserSums:
    """Precision, recall, NDCG, MAP, MRR and hit rate at each k, as means over the users with relevant items.

    Args:
        lists: shape (users, at least the largest k): distinct item positions, best first; -1 after the last.
        relevant: of the same users.
        ks: distinct lengths of lists.

    Returns:
        Metrics named like ndcg@10. Users without relevant items have no value: their denominator is 0.
    """
    check_lists(lists, ks)
    step = max(1, BLOCK_CELLS // lists.shape[1])
    values = np.zeros((len(lists), len(NAMES) * len(ks)))
    for first in range(0, len(lists), step):
        block = slice(first, first + step)
        hits = ranking_kernels.find_hits(
            np.ascontiguousarray(lists[block]), relevant.bounds[first : first + step + 1], relevant.items
        )
        values[block] = ranking_values(hits, relevant.counts[block], ks)
    return means([Metric(f"{name}@{k}") for name in NAMES for k in ks], values, relevant.counts > 0)


def check_lists(lists: Int32Array, ks: Sequence[int]) -> None:
    """Raises ValueError if the lists are shorter than the largest k."""
    if not 1 <= min(ks) <= max(ks) <= lists.shape[1]:
        raise ValueError(f"lists of {lists.shape[1]} items are too short for k = {', '.join(map(str, ks))}")


def ranking_values(hits: BoolArray, relevant: Int64Array, ks: Sequence[int]) -> Float64Array:
    """Every metric of `NAMES` at every k, shape (users, names times ks).

    Args:
        hits: whether each item of the lists is relevant, shape (users, list length).
        relevant: number of relevant items of each user, shape (users,); with none, every metric is 0.
    """
    last = np.array(ks) - 1
    ranks = np.arange(1, hits.shape[1] + 1)
    discounts = np.array([1 / math.log2(rank + 1) for rank in ranks])
    hits_so_far = np.cumsum(hits, axis=1)
    most_hits = np.minimum(np.maximum(relevant, 1)[:, None], last + 1)
    first_hit = np.where(hits.any(axis=1), hits.argmax(axis=1), hits.shape[1])[:, None]
    return np.hstack(
        [
            hits_so_far[:, last] / (last + 1),
            hits_so_far[:, last] / np.maximum(relevant, 1)[:, None],
            np.cumsum(hits * discounts, axis=1)[:, last] / np.cumsum(discounts)[most_hits - 1],
            np.cumsum(hits * (hits_so_far / ranks), axis=1)[:, last] / most_hits,
            np.where(first_hit <= last, 1 / (first_hit + 1), 0),
            hits_so_far[:, last] > 0,
        ]
    )
