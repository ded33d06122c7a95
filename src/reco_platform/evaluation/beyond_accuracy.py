"""Properties of recommendation lists other than accuracy: coverage, exposure, novelty, popularity and diversity.

Sources: Zhou et al., Solving the apparent diversity-accuracy dilemma of recommender systems, PNAS 107(10), 2010, and
Vargas and Castells, Rank and relevance in novelty and diversity metrics, RecSys 2011 (self-information); Ziegler et
al., Improving recommendation lists through topic diversification, WWW 2005 (intra-list similarity); Ge,
Delgado-Battenfeld and Jannach, Beyond accuracy, RecSys 2010 (coverage); Fleder and Hosanagar, Blockbuster culture's
next rise or fall, Management Science 55(5), 2009 (Gini); Abdollahpouri et al., User-centered evaluation of popularity
bias in recommender systems, UMAP 2021 (head, middle and tail).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reco_platform.core.arrays import BoolArray, Float64Array, Int8Array, Int32Array, Int64Array, UInt64Array
from reco_platform.evaluation import ranking_kernels
from reco_platform.evaluation.ranking_metrics import BLOCK_CELLS, check_lists
from reco_platform.evaluation.user_sums import Metric, MetricValue, UserSums, concatenate, means, metric_value

ITEM_STRATA = ("head", "middle", "tail")
USER_STRATA = ("least_active", "less_active", "more_active", "most_active")
NO_LISTS = "no user has a list"
NO_TEST_USERS = "there are no test users"


def item_strata(counts: Int64Array) -> Int8Array:
    """The stratum of each item as an index of `ITEM_STRATA`, shape (items,).

    Head, middle and tail hold about 20, 60 and 20% of the ratings.

    An item belongs to the head if items with strictly more ratings hold less than 20% of all ratings, and to the tail
    if they hold 80% or more. So items with equal counts are in the same stratum.

    Args:
        counts: training ratings of each item, shape (items,).
    """
    above = int(counts.sum()) - ratings_up_to(counts)
    return ((5 * above >= counts.sum()).astype(np.int8) + (5 * above >= 4 * counts.sum())).astype(np.int8)


def ratings_up_to(counts: Int64Array) -> Int64Array:
    """For each item, the number of ratings of all items with at most as many ratings as it has, shape (items,)."""
    ordered = np.sort(counts)
    totals = np.concatenate([np.zeros(1, np.int64), np.cumsum(ordered)])
    return totals[np.searchsorted(ordered, counts, "right")]


def activity_quartiles(counts: Int64Array) -> Int8Array:
    """The quartile of each user as an index of `USER_STRATA`, shape (users,).

    It is four times the share of users with strictly fewer ratings, rounded down. Users with equal counts are in the
    same quartile, so quartiles may differ in size.

    Args:
        counts: training ratings of each user, shape (users,).
    """
    return (4 * np.searchsorted(np.sort(counts), counts, "left") // max(len(counts), 1)).astype(np.int8)


def self_information(counts: Int64Array, users: int) -> Float64Array:
    """-log2 of the share of training users who rated the item, in bits, shape (items,); no ratings count as one.

    Args:
        counts: training ratings of each item, shape (items,).
        users: number of users with training ratings.
    """
    return np.log2(users / np.maximum(counts, 1))


def popularity_percentiles(counts: Int64Array) -> Float64Array:
    """The share of items with fewer ratings plus half of those with equally many, in percent, shape (items,)."""
    ordered = np.sort(counts)
    fewer, upto = (np.searchsorted(ordered, counts, side) for side in ("left", "right"))
    return 50 * (fewer + upto) / max(len(counts), 1)


def list_property_sums(
    lists: Int32Array, ks: Sequence[int], counts: Int64Array, training_users: int, genres: BoolArray
) -> UserSums:
    """Novelty, popularity percentile and genre diversity of the first k items, as means over users.

    Args:
        lists: shape (users, at least the largest k): distinct item positions, best first; -1 after the last.
        ks: lengths of lists.
        counts: training ratings of each item, shape (items,).
        training_users: number of users with training ratings.
        genres: shape (items, genres).

    Returns:
        Metrics named like novelty@10. Users without a list have no value. Diversity also needs two items that have
        genres.
    """
    check_lists(lists, ks)
    return concatenate(
        [
            item_means("novelty", lists, ks, self_information(counts, training_users)),
            item_means("popularity_percentile", lists, ks, popularity_percentiles(counts), smaller_is_better=True),
            genre_diversity(lists, ks, genres),
        ]
    )


def item_means(
    name: str, lists: Int32Array, ks: Sequence[int], values: Float64Array, *, smaller_is_better: bool = False
) -> UserSums:
    """The mean over users of the mean of an item property, shape (items,), over the first k items."""
    last, step = np.array(ks) - 1, max(1, BLOCK_CELLS // lists.shape[1])
    means_of_lists = np.zeros((len(lists), len(ks)))
    for first in range(0, len(lists), step):
        block = lists[first : first + step]
        sums = np.cumsum(np.where(block >= 0, values[block], 0), axis=1)
        means_of_lists[first : first + step] = (sums / np.maximum(np.cumsum(block >= 0, axis=1), 1))[:, last]
    metrics = [Metric(f"{name}@{k}", smaller_is_better=smaller_is_better) for k in ks]
    return means(metrics, means_of_lists, lists[:, 0] >= 0)


def genre_diversity(lists: Int32Array, ks: Sequence[int], genres: BoolArray) -> UserSums:
    """The mean over users of the mean Jaccard distance of genres over the pairs of the first k items.

    Only pairs of items that both have genres are used.
    """
    sums, pairs = ranking_kernels.pair_distances(
        np.ascontiguousarray(lists), pack_bits(genres), np.sort(ks).astype(np.int64)
    )
    order_of_ks = np.argsort(np.argsort(ks))
    distances, has_value = (sums / np.maximum(pairs, 1))[:, order_of_ks], (pairs > 0)[:, order_of_ks]
    metrics = tuple(Metric(f"genre_diversity@{k}") for k in ks)
    return UserSums(metrics, distances, has_value.astype(np.float64), tuple(range(len(ks))))


def pack_bits(genres: BoolArray) -> UInt64Array:
    """Each row's bits packed into 64-bit words, shape (items, words)."""
    packed = np.packbits(genres, axis=1)
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))).view(np.uint64)


def exposure(lists: Int32Array, k: int, items: int) -> Int64Array:
    """The number of users whose first k items include each item, shape (items,)."""
    shown = lists[:, :k]
    return np.bincount(shown[shown >= 0], minlength=items)


def gini(shown: Int64Array) -> MetricValue:
    """The Gini index of exposure: 0 if every item is shown equally often, near 1 if only one item is shown.

    G = sum_i (2 i - n - 1) x_i / (n sum x), with x in rising order and i from 1 to n, the whole catalogue.
    """
    n, total = len(shown), int(shown.sum())
    if total == 0:
        return MetricValue(None, NO_LISTS)
    weights = 2 * np.arange(1, n + 1, dtype=np.int64) - n - 1
    return metric_value(int((weights * np.sort(shown)).sum()) / (n * total))


def catalogue_metrics(lists: Int32Array, ks: Sequence[int], items: int, users: int) -> dict[str, MetricValue]:
    """Metrics of all lists together: coverage of the catalogue and of users, and the Gini index of exposure.

    Args:
        lists: shape (users with a row, at least the largest k), like those of `list_property_sums`.
        ks: lengths of lists.
        items: size of the catalogue.
        users: number of users who should have lists, including those without a row.

    Returns:
        By name: catalogue_coverage@k, user_coverage, full_list_coverage@k, gini@k.
    """
    check_lists(lists, ks)
    values = {"user_coverage": share(int((lists[:, 0] >= 0).sum()), users, NO_TEST_USERS)}
    for k in ks:
        shown = exposure(lists, k, items)
        values[f"full_list_coverage@{k}"] = share(int((lists[:, k - 1] >= 0).sum()), users, NO_TEST_USERS)
        values[f"catalogue_coverage@{k}"] = share(int((shown > 0).sum()), items, "the catalogue is empty")
        values[f"gini@{k}"] = gini(shown)
    return values


def stratum_shares(lists: Int32Array, k: int, strata: Int8Array) -> dict[str, MetricValue]:
    """The share of each of `ITEM_STRATA` in the first k items of all users together."""
    shown = exposure(lists, k, len(strata))
    return {
        name: share(int(shown[strata == label].sum()), int(shown.sum()), NO_LISTS)
        for label, name in enumerate(ITEM_STRATA)
    }


def share(part: int, whole: int, missing_because: str) -> MetricValue:
    return metric_value(part / whole if whole else np.nan, missing_because)
