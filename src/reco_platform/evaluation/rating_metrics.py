"""Errors of predicted ratings: RMSE, MAE, and the mean RMSE of users.

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
        predicted: shape (rows,); NaN where there is no prediction: the row is left out.
        users: each row's user, from 0 to user_count - 1, shape (rows,); in any order.
        user_count: number of users, including those without rows.
        scale: least and greatest rating, to which predictions are clipped first.

    Returns:
        Column 0 of the denominators is the number of rows with a prediction, column 1 whether there is any.
    """
    squared, absolute, rows = rating_kernels.error_sums(truth, predicted, users, *scale, user_count)
    user_rmse = np.sqrt(squared / np.maximum(rows, 1))
    return UserSums(
        METRICS, np.column_stack([squared, absolute, user_rmse]), np.column_stack([rows, rows > 0]), (0, 0, 1)
    )
