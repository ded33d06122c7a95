"""Item-based nearest neighbours: the cosine between movies (Sarwar et al. 2001; Deshpande and Karypis 2004)."""

from __future__ import annotations

import numpy as np

from reco_platform.core.arrays import Float32Array, Float64Array


def weights(gram: Float64Array, neighbours: int, shrink: float) -> Float32Array:
    """The similarity of each movie's nearest neighbours, 0 for all others, shape (movies, movies).

    The similarity is g_ij / (sqrt(g_ii g_jj) + shrink): the cosine, shrunk where few users have rated both.

    Args:
        gram: X'X, shape (movies, movies).
        neighbours: how many of each movie count; of equal ones those with the smaller movie_id.
        shrink: at least 0.
    """
    norms = np.sqrt(np.diag(gram))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.nan_to_num(gram / (np.outer(norms, norms) + shrink)).astype(np.float32)
    np.fill_diagonal(found, 0)
    if neighbours < len(found):
        nearest = np.argsort(-found, axis=0, kind="stable")[:neighbours]
        kept = np.zeros(found.shape, bool)
        np.put_along_axis(kept, nearest, True, axis=0)
        found[~kept] = 0
    return found
