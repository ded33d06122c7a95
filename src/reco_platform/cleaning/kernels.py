"""Numbers from text, compiled: every value becomes a number, or is blank, or is none."""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int32, int64, njit, types, uint8, void

NUMBER, BLANK, NOT_A_NUMBER, UNDECIDED = 0, 1, 2, 3

MOST_DIGITS = 7
"""Digits that a float32 and a quotient of two float64 hold without doubt."""

MOST_DECIMALS = 3

LEAST = -(2**63)
LEAST_TENTH = -(2**63 // 10)

SPACE, PLUS, MINUS, POINT, ZERO, NINE = (ord(letter) for letter in " +-.09")


def _view(element: Any) -> types.Array:
    return types.Array(element, 1, "C", readonly=True)


_BYTES, _BOUNDS, _KINDS = _view(uint8), _view(int32), types.Array(uint8, 1, "C")


@njit(types.UniTuple(int64, 2)(_BYTES, int64, int64), cache=True, nogil=True, inline="always")
def _trimmed(data: Any, start: Any, end: Any) -> Any:
    while start < end and data[start] == SPACE:
        start += 1
    while end > start and data[end - 1] == SPACE:
        end -= 1
    return start, end


@njit(
    void(_BYTES, _BOUNDS, int64, int64, types.Array(int64, 1, "C"), _KINDS),
    cache=True,
    nogil=True,
)
def whole(data: Any, bounds: Any, least: Any, most: Any, values: Any, kinds: Any) -> None:
    """Whole numbers from `least` to `most`, with or without a sign; spaces around them do not count."""
    for row in range(len(values)):
        at, end = _trimmed(data, int64(bounds[row]), int64(bounds[row + 1]))
        values[row] = 0
        if at == end:
            kinds[row] = BLANK
            continue
        negative = data[at] == MINUS
        if negative or data[at] == PLUS:
            at += 1
        # Counted downwards, where there is one more number.
        value, fits = int64(0), at < end
        while at < end and fits:
            digit = int64(data[at]) - ZERO
            fits = 0 <= digit <= 9 and (value > LEAST_TENTH or (value == LEAST_TENTH and digit <= 8))
            value = value * 10 - digit
            at += 1
        if fits and not negative:
            fits = value != LEAST
            value = -value
        if fits and least <= value <= most:
            values[row] = value
            kinds[row] = NUMBER
        else:
            kinds[row] = NOT_A_NUMBER


@njit(
    void(_BYTES, _BOUNDS, types.Array(float32, 1, "C"), _KINDS),
    cache=True,
    nogil=True,
)
def decimals(data: Any, bounds: Any, values: Any, kinds: Any) -> None:
    """Numbers such as 4, 4.5 or .5; longer or stranger ones are left undecided."""
    for row in range(len(values)):
        at, end = _trimmed(data, int64(bounds[row]), int64(bounds[row + 1]))
        values[row] = 0
        if at == end:
            kinds[row] = BLANK
            continue
        value, digits, places, plain = 0.0, 0, -1, True
        scale = 1.0
        while at < end and plain:
            if data[at] == POINT and places < 0:
                places = 0
            elif ZERO <= data[at] <= NINE and digits < MOST_DIGITS and places < MOST_DECIMALS:
                value = value * 10.0 + (data[at] - ZERO)
                digits += 1
                if places >= 0:
                    places += 1
                    scale *= 10.0
            else:
                plain = False
            at += 1
        if plain and digits > 0:
            values[row] = np.float32(value / scale)
            kinds[row] = NUMBER
        else:
            kinds[row] = UNDECIDED
