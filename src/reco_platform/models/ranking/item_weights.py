"""Models of items: a user's score of a movie is the sum of weights from the movies that the user has rated."""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from reco_platform.core.arrays import Float32Array, Float64Array, Int32Array, Int64Array, IntArray
from reco_platform.core.errors import ConfigError
from reco_platform.core.progress import Report, no_report, reported
from reco_platform.models.als.model import WEIGHTS, Side, read_side, write_side
from reco_platform.models.ranking.shaping import MAX_PRODUCTS
from reco_platform.models.topn.exact import Seen, TopN

TASK_ITEMS = 64
TASK_USERS = 256


@dataclass(frozen=True)
class Profiles:
    """The interactions of users with the movies of a model.

    Attributes:
        bounds: those of user j are at bounds[j]:bounds[j + 1], shape (users + 1,).
        movies: positions in the model, rising for each user.
        strengths: how strongly each speaks for its movie.
    """

    bounds: Int64Array
    movies: Int32Array
    strengths: Float32Array

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def transposed(self, movies: int) -> Profiles:
        """The same by movie: `movies` are then positions of users."""
        user = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.bounds))
        return profiles(self.movies, user, self.strengths, movies)


@dataclass(frozen=True)
class ItemWeights:
    """A trained model.

    Attributes:
        kind: how it was trained.
        movies: ids in rising order, shape (n,), and weights, shape (n, n): weights[i, j] times the strength of movie i
            in a user's profile is added to the user's score of movie j.
    """

    kind: str
    movies: Side

    @property
    def weights(self) -> Float32Array:
        return self.movies.factors


def profiles(rows: IntArray, columns: IntArray, strengths: Float32Array, count: int) -> Profiles:
    """Groups interactions by row; `columns` rise within a row.

    Args:
        rows: shape (interactions,), below `count`.
        columns: shape (interactions,); interactions with a negative one are left out.
        strengths: shape (interactions,).
        count: number of rows.
    """
    known = columns >= 0
    rows, columns, strengths = rows[known], columns[known], strengths[known]
    order = np.lexsort([columns, rows])
    bounds = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])
    return Profiles(bounds, columns[order].astype(np.int32), strengths[order].astype(np.float32))


def most_rated(movie: IntArray, movies: int, max_items: int) -> Int64Array:
    """Positions of the movies with the most interactions, at most `max_items`, in rising order."""
    counts = np.bincount(movie, minlength=movies)
    order = np.lexsort([np.arange(movies), -counts])[:max_items]
    return np.sort(order[counts[order] > 0])


def gram_matrix(given: Profiles, movies: int, threads: int) -> Float64Array:
    """X'X for the matrix X of strengths, shape (movies, movies); one thread sums a row, in the order of the users.

    Raises:
        ConfigError: if that needs more than MAX_PRODUCTS products.
    """
    check_products(int((np.diff(given.bounds) ** 2).sum()), f"pairs of movies in the profiles of {len(given):,} users")
    by_movie, gram = given.transposed(movies), np.zeros((movies, movies))

    def add(first: int) -> None:
        last = min(first + TASK_ITEMS, movies)
        _add_pairs(by_movie.bounds, by_movie.movies, by_movie.strengths, *_arrays(given), first, last, gram)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(add, range(0, movies, TASK_ITEMS)))
    return gram


def check_products(products: int, what: str) -> None:
    if products > MAX_PRODUCTS:
        raise ConfigError(
            f"the {products:,} {what} are more than this model can use ({MAX_PRODUCTS:,})",
            "set a smaller max_items, or ranking_model=implicit",
        )


def item_lists(
    model: ItemWeights, given: Profiles, seen: Seen, n: int, threads: int, report: Report = no_report
) -> TopN:
    """The n unseen movies with the highest scores of each user; ties are broken by movie_id.

    Users with an empty profile have an empty list.

    Args:
        model: the weights.
        given: of the users.
        seen: positions in the model of the movies to leave out, for the same users.
        n: length of the lists; shorter for users with fewer unseen movies.
        threads: never changes the result.
        report: called with the progress.

    Raises:
        ConfigError: if that needs more than MAX_PRODUCTS products.
    """
    check_products(len(given.movies) * len(model.movies.ids), "products of profiles and weights")
    best = np.full((len(given), n), -1, np.int32)
    scores = np.zeros((len(given), n), np.float32)

    def search(first: int) -> range:
        last = min(first + TASK_USERS, len(given))
        _best_unseen(*_arrays(given), model.weights, seen.bounds, seen.movies, first, last, best, scores)
        return range(first, last)

    with ThreadPoolExecutor(threads) as pool:
        list(reported(pool.map(search, range(0, len(given), TASK_USERS)), report, "users", len(given)))
    listed = best >= 0
    offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    return TopN(model.movies.ids[best[listed]], scores[listed], offsets)


def _arrays(given: Profiles) -> tuple[Int64Array, Int32Array, Float32Array]:
    return given.bounds, given.movies, given.strengths


@njit(cache=True, nogil=True)
def _add_pairs(
    user_bounds: Any,
    user_of: Any,
    own: Any,
    bounds: Any,
    movies: Any,
    strengths: Any,
    first: Any,
    last: Any,
    gram: Any,
) -> None:
    """Fills the rows [first, last) of the Gram matrix."""
    for movie in range(first, last):
        row = gram[movie]
        for at in range(user_bounds[movie], user_bounds[movie + 1]):
            user = user_of[at]
            for other in range(bounds[user], bounds[user + 1]):
                row[movies[other]] += np.float64(own[at]) * strengths[other]


@njit(cache=True, nogil=True)
def _best_unseen(
    bounds: Any,
    movies: Any,
    strengths: Any,
    weights: Any,
    seen_bounds: Any,
    seen: Any,
    first: Any,
    last: Any,
    best: Any,
    scores: Any,
) -> None:
    """Fills the lists of the users [first, last)."""
    count, n = weights.shape[0], best.shape[1]
    score = np.empty(count, np.float32)
    for user in range(first, last):
        if bounds[user] == bounds[user + 1]:
            continue
        score[:] = 0
        for at in range(bounds[user], bounds[user + 1]):
            row, strength = weights[movies[at]], strengths[at]
            for movie in range(count):
                score[movie] += strength * row[movie]
        for at in range(seen_bounds[user], seen_bounds[user + 1]):
            score[seen[at]] = -np.inf
        for place in range(n):
            top = np.argmax(score)
            if score[top] == -np.inf:
                break
            best[user, place], scores[user, place] = top, score[top]
            score[top] = -np.inf


# --- files


def write_item_weights(model: ItemWeights, folder: Path) -> None:
    """Writes a model to an existing folder: its weights in the format of a side of an ALS model, and its kind."""
    (folder / "metadata").mkdir()
    (folder / "metadata" / "part-00000").write_text(json.dumps({"kind": model.kind}) + "\n", encoding="utf-8")
    write_side(model.movies, folder / WEIGHTS)


def is_item_weights(folder: Path) -> bool:
    return (folder / WEIGHTS).is_dir()


def read_item_weights(folder: Path) -> ItemWeights:
    metadata = json.loads((folder / "metadata" / "part-00000").read_text(encoding="utf-8"))
    return ItemWeights(metadata["kind"], read_side(folder / WEIGHTS))
