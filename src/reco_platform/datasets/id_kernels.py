"""Numba kernel that gives texts the numbers 0, 1, 2... in order of first appearance: a hash table of byte strings."""

# ruff: noqa: PLR0917, SIM110 - compiled functions take no keyword-only arguments and no generators
from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32, int64, njit, types, uint8, uint64, void

from reco_platform.fingerprint.kernels import xxh64

NO_ID = -1
"""The number of a text of ASCII blanks and control characters alone."""

SPACE, DELETE = 0x20, 0x7F

_BYTES, _OFFSETS = types.Array(uint8, 1, "C", readonly=True), types.Array(int32, 1, "C", readonly=True)
_KNOWN, _BOUNDS = types.Array(uint8, 1, "C"), types.Array(int64, 1, "C")
_SLOTS, _IDS = types.Array(uint64, 1, "C"), types.Array(int32, 1, "C")


@njit(types.boolean(_BYTES, int64, int64), cache=True, nogil=True)
def _is_blank(data: Any, start: Any, end: Any) -> Any:
    for at in range(start, end):
        if data[at] > SPACE and data[at] != DELETE:
            return False
    return True


@njit(types.boolean(_BYTES, int64, int64, _KNOWN, int64, int64), cache=True, nogil=True)
def _is_equal(data: Any, start: Any, end: Any, known: Any, first: Any, last: Any) -> Any:
    if end - start != last - first:
        return False
    for at in range(end - start):
        if data[start + at] != known[first + at]:
            return False
    return True


@njit(types.UniTuple(int64, 2)(_BYTES, _OFFSETS, int64, _SLOTS, _KNOWN, _BOUNDS, int64, _IDS), cache=True, nogil=True)
def number_texts(data: Any, offsets: Any, start: Any, slots: Any, known: Any, bounds: Any, count: Any, ids: Any) -> Any:
    """Sets the number of each row's text, and adds new texts, until the tables are full.

    A slot of the hash table is 0 if it is free, and otherwise the upper half of a text's hash and its number + 1.

    Args:
        data: the bytes of all rows, uint8.
        offsets: where each row begins in `data`, and where the last one ends, int32, shape (rows + 1,).
        start: the row to begin with.
        slots: the hash table, shape (a power of two,); at most half of it is filled.
        known: the bytes of the numbered texts.
        bounds: where each numbered text begins in `known`, and where the last one ends, shape (capacity + 1,).
        count: how many texts are numbered.
        ids: set to the numbers, NO_ID for texts of ASCII blanks and control characters alone, shape (rows,).

    Returns:
        The first row that was not numbered, because a table must grow first (the number of rows if none is left), and
        the new count.
    """
    mask, half = np.uint64(len(slots) - 1), len(slots) // 2
    for row in range(start, len(ids)):
        begin, end = int64(offsets[row]), int64(offsets[row + 1])
        if row > start and ids[row - 1] >= 0:  # files are often sorted by user
            before = int64(ids[row - 1])
            if _is_equal(data, begin, end, known, bounds[before], bounds[before + 1]):
                ids[row] = ids[row - 1]
                continue
        hashed = xxh64(data, begin, end, np.uint64(0))
        mark, at = hashed >> np.uint64(32), hashed & mask
        found = int64(NO_ID)
        while slots[at] != np.uint64(0):
            if slots[at] >> np.uint64(32) == mark:
                candidate = int64(slots[at] & np.uint64(0xFFFFFFFF)) - 1
                if _is_equal(data, begin, end, known, bounds[candidate], bounds[candidate + 1]):
                    found = candidate
                    break
            at = (at + np.uint64(1)) & mask
        if found < 0 and not _is_blank(data, begin, end):
            if count >= half or count + 1 >= len(bounds) or bounds[count] + end - begin > len(known):
                return row, count
            first = bounds[count]
            for offset in range(end - begin):
                known[first + offset] = data[begin + offset]
            bounds[count + 1] = first + end - begin
            slots[at] = (mark << np.uint64(32)) | np.uint64(count + 1)
            found = count
            count += 1
        ids[row] = found
    return int64(len(ids)), count


@njit(void(_KNOWN, _BOUNDS, int64, _SLOTS), cache=True, nogil=True)
def fill_slots(known: Any, bounds: Any, count: Any, slots: Any) -> None:
    """Enters numbered texts, all different, into an empty hash table, as `number_texts` describes it."""
    mask = np.uint64(len(slots) - 1)
    for number in range(count):
        hashed = xxh64(known, bounds[number], bounds[number + 1], np.uint64(0))
        at = hashed & mask
        while slots[at] != np.uint64(0):
            at = (at + np.uint64(1)) & mask
        slots[at] = (hashed >> np.uint64(32) << np.uint64(32)) | np.uint64(number + 1)
