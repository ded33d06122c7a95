"""How far predicted ratings are from the true ones.

Formulas: Herlocker, Konstan, Terveen and Riedl, Evaluating collaborative filtering recommender systems, ACM TOIS 22(1),
2004, section 4.1.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reco_platform.usersums import Floats, Metric, UserSums

METRICS = (
    Metric("rmse", root=True, smaller_is_better=True),
    Metric("mae", smaller_is_better=True),
    Metric("user_rmse", smaller_is_better=True),
)


def clipped(predicted: Floats, low: float, high: float) -> Floats:
    """Predictions brought into the scale of ratings; NaN stays NaN."""
    return np.clip(predicted, low, high)


def rating_sums(
    truth: npt.NDArray[np.float32], predicted: Floats, users: npt.NDArray[Any], user_count: int
) -> UserSums:
    """RMSE and MAE over the rows that have a prediction, and the mean over users of each one's own RMSE.

    Args:
        truth: ratings, shape (rows,).
        predicted: shape (rows,); NaN where there is none, and then the row is left out.
        users: each row's user, from 0 to user_count - 1, shape (rows,); in any order.
        user_count: users without rows included.

    Returns:
        Denominator 0 holds how many rows of each user count, denominator 1 whether any does.
    """
    known = ~np.isnan(predicted)
    errors, users = truth[known].astype(np.float64) - predicted[known], users[known]
    rows = np.bincount(users, minlength=user_count).astype(np.float64)
    squared, absolute = (np.bincount(users, each, minlength=user_count) for each in (errors**2, np.abs(errors)))
    own = np.sqrt(squared / np.maximum(rows, 1))
    return UserSums(METRICS, np.column_stack([squared, absolute, own]), np.column_stack([rows, rows > 0]), (0, 0, 1))
