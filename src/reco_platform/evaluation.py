"""How good a model is on the test fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def rating_metrics(
    truth: npt.NDArray[np.float32], predicted: npt.NDArray[np.float64], cold_start_strategy: str
) -> dict[str, Any]:
    """RMSE over the predicted test rows, with the share of rows that it covers.

    RMSE is the square root of the mean squared difference (Herlocker et al. 2004, section 4.1.1).

    Args:
        truth: ratings, shape (rows,).
        predicted: shape (rows,); NaN for cold rows, whose user or movie has no training rows.
        cold_start_strategy: drop leaves cold rows out; nan keeps them, so that there is no RMSE if there are any.
    """
    warm = ~np.isnan(predicted)
    cold = int((~warm).sum())
    counted = len(truth) if cold_start_strategy == "nan" else int(warm.sum())
    reason = None
    if counted == 0:
        reason = "no test row has both its user and its movie in the training data"
    elif cold_start_strategy == "nan" and cold:
        reason = f"cold_start_strategy=nan keeps {cold:,} cold rows, whose prediction is not a number"
    rmse = None if reason else float(np.sqrt(np.mean((truth[warm].astype(np.float64) - predicted[warm]) ** 2)))
    return {
        "rmse": rmse,
        **({"rmse_missing_because": reason} if reason else {}),
        "test_count": len(truth),
        "predictions_count": counted,
        "coverage": counted / max(len(truth), 1),
        "cold_count": cold,
        "cold_share": cold / max(len(truth), 1),
    }
