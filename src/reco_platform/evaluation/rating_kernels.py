"""The numba kernel of `rating_metrics`."""

# ruff: noqa: PLR0917 - numba's kernels are called by position

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def error_sums(truth: Any, predicted: Any, users: Any, low: Any, high: Any, user_count: Any) -> Any:
    """Each user's sums of squared and absolute errors, and number of rows, shape (user_count,) each.

    Predictions are clipped to [low, high] first; rows whose prediction is NaN are skipped.
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
