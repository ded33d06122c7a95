"""Lists with fewer movies of one kind: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)."""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit

from reco_platform.core.arrays import Float32Array
from reco_platform.models.als.model import Side
from reco_platform.models.topn.exact import TopN

CANDIDATES = 100
"""The best movies of a user that compete for the places of a list.

The number does not depend on the length of the list, so that a short list is the beginning of a long one: the
evaluation judges the lists that are served, whatever its list lengths.
"""

TASK_USERS = 256


def candidates(n: int, diversify: float) -> int:
    """How many movies `diversified` needs of each user for a list of n."""
    return max(n, CANDIDATES) if diversify else n


def diversified(lists: TopN, movies: Side, n: int, diversify: float, threads: int) -> TopN:
    """Lists of n movies, each chosen for its score and for its distance from those before it.

    Each place goes to the candidate with the greatest

        (1 - diversify) r - diversify s

    r is the movie's score, scaled to 0 for the user's worst candidate and 1 for the best; s is the greatest cosine
    between its vector and those of the movies already in the list, 0 for the first place. Ties go to the better score.

    Args:
        lists: `candidates(n, diversify)` movies of each user, best first.
        movies: of the model, with a vector each: factors, or weights from the movie to all others.
        n: length of the lists.
        diversify: from 0, which leaves the lists as they are, to 1.
        threads: never changes the result.
    """
    if not diversify:
        return lists
    positions, _ = movies.positions(lists.movie_ids)
    vectors, users = unit_vectors(movies.factors), len(lists.offsets) - 1
    chosen = np.full((users, n), -1, np.int64)

    def choose(first: int) -> None:
        last = min(first + TASK_USERS, users)
        _choose(lists.offsets, positions, lists.scores, vectors, diversify, first, last, chosen)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(choose, range(0, users, TASK_USERS)))
    listed = chosen >= 0
    offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    return TopN(lists.movie_ids[chosen[listed]], lists.scores[chosen[listed]], offsets)


def unit_vectors(vectors: Float32Array) -> Float32Array:
    """The vectors with length 1; those of length 0 stay 0, so that they resemble no other."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return (vectors / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)


@njit(cache=True, nogil=True)
def _choose(
    offsets: Any, positions: Any, scores: Any, vectors: Any, diversify: Any, first: Any, last: Any, chosen: Any
) -> None:
    """Fills the rows [first, last) of `chosen` with places in the lists."""
    for user in range(first, last):
        start, count = offsets[user], offsets[user + 1] - offsets[user]
        if count == 0:
            continue
        low = np.float64(scores[start + count - 1])
        span = np.float64(scores[start]) - low
        similar, taken = np.zeros(count), np.zeros(count, np.bool_)
        for place in range(min(chosen.shape[1], count)):
            best, most = -1, -np.inf
            for at in range(count):
                relevance = (np.float64(scores[start + at]) - low) / span if span > 0 else 1.0
                value = (1 - diversify) * relevance - diversify * similar[at]
                if not taken[at] and value > most:
                    best, most = at, value
            taken[best] = True
            chosen[user, place] = start + best
            for at in range(count):
                if not taken[at]:
                    product = 0.0
                    for column in range(vectors.shape[1]):
                        product += np.float64(vectors[positions[start + at], column]) * np.float64(
                            vectors[positions[start + best], column]
                        )
                    similar[at] = product if place == 0 else max(similar[at], product)
