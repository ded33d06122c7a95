"""Which movies are alike: by their factors, or by the weights between them.

Chosen on ml-latest-small by how far the people who like two movies are the same (Jaccard index of their fans), for the
ten movies most similar to each of the 200 most rated ones; docs/asking.md has the table, and
benchmarks/similar_movies.py computes it.
"""

from __future__ import annotations

import numpy as np

from reco_platform.core.arrays import Float32Array, Int64Array, IntArray

IMPLICIT_SHRINK = 10.0
"""Ratings at which the cosine of factors of an implicit model counts half."""

EXPLICIT_SHRINK = 50.0
"""The same for a model of ratings, whose factors of movies with few ratings point anywhere."""


def by_factors(factors: Float32Array, movie: int, counts: Int64Array, shrink: float) -> Float32Array:
    """The cosine of a movie's factors and those of each movie, times n / (n + shrink), shape (movies,).

    Args:
        factors: without columns of biases, shape (movies, rank).
        movie: position of the movie.
        counts: n, the number of ratings of each movie, shape (movies,).
        shrink: at least 0.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", factors, factors, dtype=np.float64))
    products = factors @ factors[movie]
    cosines = np.divide(products, norms * norms[movie], out=np.zeros(len(factors)), where=norms * norms[movie] > 0)
    found: Float32Array = (cosines * counts / np.maximum(counts + shrink, 1e-9)).astype(np.float32)
    return found


def by_weights(weights: Float32Array, movie: int) -> Float32Array:
    """The weights from and to a movie, added, shape (movies,)."""
    found: Float32Array = weights[movie] + weights[:, movie]
    return found


def nearest(scores: Float32Array, n: int, left_out: IntArray) -> IntArray:
    """Positions of the n movies with the highest scores above 0; of equal scores the first, without `left_out`."""
    scores = scores.copy()
    scores[left_out] = 0
    found: IntArray = np.flatnonzero(scores > 0)
    if n < len(found):
        limit = np.partition(scores[found], len(found) - n)[len(found) - n]
        found = found[scores[found] >= limit]
    best: IntArray = found[np.argsort(-scores[found], kind="stable")][:n]
    return best
