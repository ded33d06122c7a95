"""How well the first k of each user's list meet what the user found relevant. docs/metrics.md has every definition.

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
BLOCK_CELLS = 1 << 21  # places of lists judged at once: 16 MB in each float64 array


@dataclass(frozen=True)
class Relevant:
    """User j finds items[bounds[j]:bounds[j + 1]] relevant: positions in rising order, each once."""

    bounds: Int64Array
    items: Int32Array

    @property
    def counts(self) -> Int64Array:
        """How many items are relevant to each user, shape (users,)."""
        return np.diff(self.bounds)

    def among(self, kept: BoolArray) -> Relevant:
        """Only those that are `kept`, shape (items,): one stratum of the items, say."""
        keep = kept[self.items]
        return Relevant(np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])[self.bounds], self.items[keep])


def relevant_from(users: Int32Array, items: Int32Array, user_count: int, item_count: int) -> Relevant:
    """From pairs in any order, shape (rows,) each: positions of user and item."""
    return Relevant(*topn_kernels.group_pairs(users.astype(np.int32), items.astype(np.int32), user_count, item_count))


def ranking_sums(lists: Int32Array, relevant: Relevant, ks: Sequence[int]) -> UserSums:
    """Precision, recall, NDCG, MAP, MRR and hit rate at each k, as means over the users with relevant items.

    Args:
        lists: shape (users, at least the largest k): item positions, best first, no item twice; -1 behind the last.
        relevant: of the same users.
        ks: lengths of lists, none twice.

    Returns:
        Metrics named like ndcg@10. Users without relevant items do not count: their denominator is 0.
    """
    check_lists(lists, ks)
    step = max(1, BLOCK_CELLS // lists.shape[1])
    values = np.zeros((len(lists), len(NAMES) * len(ks)))
    for first in range(0, len(lists), step):
        block = slice(first, first + step)
        hits = ranking_kernels.find_hits(
            np.ascontiguousarray(lists[block]), relevant.bounds[first : first + step + 1], relevant.items
        )
        values[block] = judged(hits, relevant.counts[block], ks)
    return means([Metric(f"{name}@{k}") for name in NAMES for k in ks], values, relevant.counts > 0)


def check_lists(lists: Int32Array, ks: Sequence[int]) -> None:
    """Raises ValueError where lists end before the largest k."""
    if not 1 <= min(ks) <= max(ks) <= lists.shape[1]:
        raise ValueError(f"lists of {lists.shape[1]} items cannot be judged at {', '.join(map(str, ks))}")


def judged(hits: BoolArray, relevant: Int64Array, ks: Sequence[int]) -> Float64Array:
    """Every metric of `NAMES` at every k, shape (users, names times ks).

    Args:
        hits: whether a place holds a relevant item, shape (users, places).
        relevant: how many items are relevant to each user, shape (users,); with none, every metric is 0.
    """
    at = np.array(ks) - 1
    ranks = np.arange(1, hits.shape[1] + 1)
    discounts = np.array([1 / math.log2(rank + 1) for rank in ranks])
    found = np.cumsum(hits, axis=1)
    best = np.minimum(np.maximum(relevant, 1)[:, None], at + 1)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1), hits.shape[1])[:, None]
    return np.hstack(
        [
            found[:, at] / (at + 1),
            found[:, at] / np.maximum(relevant, 1)[:, None],
            np.cumsum(hits * discounts, axis=1)[:, at] / np.cumsum(discounts)[best - 1],
            np.cumsum(hits * (found / ranks), axis=1)[:, at] / best,
            np.where(first <= at, 1 / (first + 1), 0),
            found[:, at] > 0,
        ]
    )
