"""EASE^R: weights between movies in closed form (Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from reco_platform.core.arrays import Float32Array, Float64Array
from reco_platform.core.errors import DataError


def weights(gram: Float64Array, reg: float) -> Float32Array:
    """The weights that predict each movie from all others, shape (movies, movies), with a diagonal of zeros.

    With P the inverse of X'X + reg I they are -P_ij / P_jj (equation 8). BLAS uses one thread, so that the result does
    not depend on their number.

    Args:
        gram: X'X, shape (movies, movies); overwritten.
        reg: added to the diagonal, above 0.

    Raises:
        DataError: if the matrix cannot be inverted.
    """
    gram[np.diag_indices_from(gram)] += reg
    with threadpool_limits(1, user_api="blas"):
        factor, problem = lapack.dpotrf(gram, lower=1, overwrite_a=1)
        inverse, other = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if problem or other or not np.isfinite(inverse).all():
        raise DataError(f"the item matrix of EASE with ease_reg={reg:g} is singular", "set a larger ease_reg")
    lower = np.tril(inverse)
    inverse = lower + np.tril(lower, -1).T
    found = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(found, 0)
    return found
