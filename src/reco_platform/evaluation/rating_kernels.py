"""The numba kernel of rating metrics."""

# ruff: noqa: PLR0917 - numba's kernels are called by position

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def error_sums(truth: Any, predicted: Any, users: Any, low: Any, high: Any, user_count: Any) -> Any:
    """Of each user the squared and the absolute errors and how many there are, shape (user_count,) each.

    Predictions are brought into [low, high] first; rows whose prediction is NaN are passed over.
    """
    squared, absolute, rows = np.zeros(user_count), np.zeros(user_count), np.zeros(user_count)
    for row in range(len(truth)):
        if np.isnan(predicted[row]):
            continue
        error = np.float64(truth[row]) - min(max(predicted[row], low), high)
        user = users[row]
        squared[user] += error * error
        absolute[user] += abs(error)
        rows[user] += 1.0
    return squared, absolute, rows
