"""The best N movies of each user, exactly: seen ones left out, ties broken by movie_id."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from reco_platform.als.model import Model

BLOCK_USERS = 512


def seen_rows(
    model: Model, user_ids: npt.NDArray[np.int32], movie_ids: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs as positions in the model, sorted by user; pairs that the model does not know are left out."""
    at_user, user_known = model.users.positions(user_ids)
    at_movie, movie_known = model.movies.positions(movie_ids)
    known = user_known & movie_known
    order = np.argsort(at_user[known], kind="stable")
    return at_user[known][order], at_movie[known][order]


def top_n(
    model: Model, n: int, seen: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> Iterator[tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
    """For each user in order: its position, the ids of its best movies (at most n), and their scores, best first.

    Args:
        model: the factors.
        n: how many.
        seen: what to leave out, from `seen_rows`.
    """
    movies = model.movies.factors.astype(np.float64)
    for first in range(0, len(model.users.ids), BLOCK_USERS):
        users = model.users.factors[first : first + BLOCK_USERS].astype(np.float64)
        scores = (users @ movies.T).astype(np.float32)
        start, end = np.searchsorted(seen[0], [first, first + len(users)])
        scores[seen[0][start:end] - first, seen[1][start:end]] = -np.inf
        for row, own in enumerate(scores):
            yield first + row, *best(own, model.movies.ids, n)


def best(
    scores: npt.NDArray[np.float32], ids: npt.NDArray[np.int32], n: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Ids and scores of the n best, those of -inf never; among equal scores the smaller id is better."""
    candidates = np.flatnonzero(scores > -np.inf)
    if len(candidates) > n:
        threshold = np.partition(scores[candidates], -n)[-n]
        candidates = candidates[scores[candidates] >= threshold]
    chosen = candidates[np.lexsort((ids[candidates], -scores[candidates]))][:n]
    return ids[chosen], scores[chosen]
