"""How far predicted ratings are from the true ones.

Formulas: Herlocker, Konstan, Terveen and Riedl, Evaluating collaborative filtering recommender systems, ACM TOIS 22(1),
2004, section 4.1.1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from reco_platform.core.arrays import Float32Array, Float64Array
from reco_platform.evaluation import rating_kernels
from reco_platform.evaluation.user_sums import Metric, UserSums

METRICS = (
    Metric("rmse", root=True, smaller_is_better=True),
    Metric("mae", smaller_is_better=True),
    Metric("user_rmse", smaller_is_better=True),
)

WITHOUT_SCALE = (-math.inf, math.inf)


def rating_sums(
    truth: Float32Array,
    predicted: Float64Array,
    users: npt.NDArray[Any],
    user_count: int,
    scale: tuple[float, float] = WITHOUT_SCALE,
) -> UserSums:
    """RMSE and MAE over the rows that have a prediction, and the mean over users of each one's own RMSE.

    Args:
        truth: ratings, shape (rows,).
        predicted: shape (rows,); NaN where there is none, and then the row is left out.
        users: each row's user, from 0 to user_count - 1, shape (rows,); in any order.
        user_count: users without rows included.
        scale: least and greatest rating, into which predictions are brought first.

    Returns:
        Denominator 0 holds how many rows of each user count, denominator 1 whether any does.
    """
    squared, absolute, rows = rating_kernels.error_sums(truth, predicted, users, *scale, user_count)
    own = np.sqrt(squared / np.maximum(rows, 1))
    return UserSums(METRICS, np.column_stack([squared, absolute, own]), np.column_stack([rows, rows > 0]), (0, 0, 1))
