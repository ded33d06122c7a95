"""Numba kernels of `ranking_metrics` and `beyond_accuracy`, which define what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, float64, int32, int64, njit, types, uint64


def _view(element: Any, dimensions: int) -> types.Array:
    return types.Array(element, dimensions, "C", readonly=True)


_LISTS, _BOUNDS, _ITEMS, _WORDS, _KS = (
    _view(int32, 2), _view(int64, 1), _view(int32, 1), _view(uint64, 2), _view(int64, 1),
)  # fmt: skip


@njit(types.Array(boolean, 2, "C")(_LISTS, _BOUNDS, _ITEMS), cache=True, nogil=True)
def find_hits(lists: Any, bounds: Any, items: Any) -> Any:
    """Whether each item of the lists, shape (users, k), is one of the user's items[bounds[user] : bounds[user + 1]]."""
    hits = np.zeros(lists.shape, np.bool_)
    for user in range(len(lists)):
        own = items[bounds[user] : bounds[user + 1]]
        for rank in range(lists.shape[1]):
            position = np.searchsorted(own, lists[user, rank])
            hits[user, rank] = position < len(own) and own[position] == lists[user, rank]
    return hits


@njit(uint64(uint64), cache=True, nogil=True)
def _bits_set(word: Any) -> Any:
    """Counts bits in pairs, then fours, then bytes, which a product sums (Warren, Hacker's Delight, ch. 5)."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(types.UniTuple(float64, 2)(_WORDS, _LISTS, int64, int64), cache=True, nogil=True)
def _distances(words: Any, lists: Any, user: Any, rank: Any) -> Any:
    """The sum of Jaccard distances from an item of a list to the items before it, and the number of pairs summed.

    Only pairs of items that both have genres are summed.
    """
    total, pairs, own = 0.0, 0.0, words[lists[user, rank]]
    for before in range(rank):
        common, either, here, there = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
        other = words[lists[user, before]]
        for k in range(len(own)):
            common += _bits_set(own[k] & other[k])
            either += _bits_set(own[k] | other[k])
            here |= own[k]
            there |= other[k]
        if here and there:
            total += 1.0 - np.float64(common) / np.float64(either)
            pairs += 1.0
    return total, pairs


@njit(types.UniTuple(types.Array(float64, 2, "C"), 2)(_LISTS, _WORDS, _KS), cache=True, nogil=True)
def pair_distances(lists: Any, words: Any, ks: Any) -> Any:
    """The sum of Jaccard distances over the pairs of the first k items, and the number of pairs; both (users, ks).

    Args:
        lists: (users, k) item positions, -1 after the last.
        words: (items, w): the genres of each item as bits.
        ks: rising, at most k.
    """
    sums, counts = np.zeros((len(lists), len(ks))), np.zeros((len(lists), len(ks)))
    for user in range(len(lists)):
        total, pairs, rank = 0.0, 0.0, 0
        for column in range(len(ks)):
            while rank < ks[column] and lists[user, rank] >= 0:
                distances, count = _distances(words, lists, user, rank)
                total += distances
                pairs += count
                rank += 1
            sums[user, column], counts[user, column] = total, pairs
    return sums, counts
