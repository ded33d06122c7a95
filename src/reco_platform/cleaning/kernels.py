"""Numba kernels that parse numbers from text columns: each value is a number, blank, or not a number."""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int32, int64, njit, types, uint8, void

NUMBER, BLANK, NOT_A_NUMBER, UNDECIDED = 0, 1, 2, 3

MAX_DIGITS = 7
"""With at most so many digits, the quotient of two float64 rounds to the float32 nearest to the text."""

MAX_DECIMALS = 3

INT64_MIN = -(2**63)
INT64_MIN_TENTH = -(2**63 // 10)

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
def parse_integers(data: Any, bounds: Any, minimum: Any, maximum: Any, values: Any, kinds: Any) -> None:
    """Integers from `minimum` to `maximum`, with or without a sign; surrounding spaces are ignored.

    Args:
        data: the bytes of all values, uint8.
        bounds: where each value begins in `data`, and where the last one ends, int32, shape (rows + 1,).
        minimum: the smallest number allowed.
        maximum: the largest number allowed.
        values: set to the numbers, 0 where there is none, shape (rows,).
        kinds: set to NUMBER, BLANK or NOT_A_NUMBER, shape (rows,).
    """
    for row in range(len(values)):
        at, end = _trimmed(data, int64(bounds[row]), int64(bounds[row + 1]))
        values[row] = 0
        if at == end:
            kinds[row] = BLANK
            continue
        negative = data[at] == MINUS
        if negative or data[at] == PLUS:
            at += 1
        # Digits are subtracted, because there is one more negative int64 than positive ones.
        value, fits = int64(0), at < end
        while at < end and fits:
            digit = int64(data[at]) - ZERO
            fits = 0 <= digit <= 9 and (value > INT64_MIN_TENTH or (value == INT64_MIN_TENTH and digit <= 8))
            value = value * 10 - digit
            at += 1
        if fits and not negative:
            fits = value != INT64_MIN
            value = -value
        if fits and minimum <= value <= maximum:
            values[row] = value
            kinds[row] = NUMBER
        else:
            kinds[row] = NOT_A_NUMBER


@njit(
    void(_BYTES, _BOUNDS, types.Array(float32, 1, "C"), _KINDS),
    cache=True,
    nogil=True,
)
def parse_decimals(data: Any, bounds: Any, values: Any, kinds: Any) -> None:
    """Numbers such as 4, 4.5 or .5; longer ones and other notations are left UNDECIDED.

    Args:
        data: the bytes of all values, uint8.
        bounds: where each value begins in `data`, and where the last one ends, int32, shape (rows + 1,).
        values: set to the numbers, 0 where there is none, float32, shape (rows,).
        kinds: set to NUMBER, BLANK or UNDECIDED, shape (rows,).
    """
    for row in range(len(values)):
        at, end = _trimmed(data, int64(bounds[row]), int64(bounds[row + 1]))
        values[row] = 0
        if at == end:
            kinds[row] = BLANK
            continue
        value, digits, decimals, is_simple = 0.0, 0, -1, True
        scale = 1.0
        while at < end and is_simple:
            if data[at] == POINT and decimals < 0:
                decimals = 0
            elif ZERO <= data[at] <= NINE and digits < MAX_DIGITS and decimals < MAX_DECIMALS:
                value = value * 10.0 + (data[at] - ZERO)
                digits += 1
                if decimals >= 0:
                    decimals += 1
                    scale *= 10.0
            else:
                is_simple = False
            at += 1
        if is_simple and digits > 0:
            values[row] = np.float32(value / scale)
            kinds[row] = NUMBER
        else:
            kinds[row] = UNDECIDED
