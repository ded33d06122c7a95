"""Numba kernels of ranking metrics. What they promise is defined in `ranking.py` and `beyond.py`, to be imported."""

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
    """Which places of each list, (users, k), hold one of the user's own items[bounds[user] : bounds[user + 1]]."""
    hits = np.zeros(lists.shape, np.bool_)
    for user in range(len(lists)):
        own = items[bounds[user] : bounds[user + 1]]
        for place in range(lists.shape[1]):
            at = np.searchsorted(own, lists[user, place])
            hits[user, place] = at < len(own) and own[at] == lists[user, place]
    return hits


@njit(uint64(uint64), cache=True, nogil=True)
def _bits_set(word: Any) -> Any:
    """Counted in pairs, then in fours, then in bytes, which a product adds up (Warren, Hacker's Delight, ch. 5)."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(types.UniTuple(float64, 2)(_WORDS, _LISTS, int64, int64), cache=True, nogil=True)
def _distances(words: Any, lists: Any, user: Any, place: Any) -> Any:
    """The sum of 1 - Jaccard from the item at a place of a list to those before it, and how many have genres."""
    total, pairs, own = 0.0, 0.0, words[lists[user, place]]
    for before in range(place):
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
    """Per user and k, both (users, ks): the sum of 1 - Jaccard over the pairs in the first k, and how many pairs.

    Args:
        lists: (users, k) item positions, -1 behind the last.
        words: (items, w): the genres of each item as bits.
        ks: rising, none above k.
    """
    sums, counts = np.zeros((len(lists), len(ks))), np.zeros((len(lists), len(ks)))
    for user in range(len(lists)):
        total, pairs, place = 0.0, 0.0, 0
        for column in range(len(ks)):
            while place < ks[column] and lists[user, place] >= 0:
                more, of = _distances(words, lists, user, place)
                total += more
                pairs += of
                place += 1
            sums[user, column], counts[user, column] = total, pairs
    return sums, counts
