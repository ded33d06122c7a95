"""Random models for top-N lists, and pairs of users and seen movies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reco_platform.models.als.model import Model, Side
from reco_platform.models.topn.exact import Seen, TopN, seen_by_id

Pairs = Sequence[tuple[int, int]]


def model_of(users: npt.ArrayLike, movies: npt.ArrayLike, *, spread: int = 3) -> Model:
    """User j has the id 10 j, movie j the id spread * j + 1."""
    left, right = np.asarray(users, np.float32), np.asarray(movies, np.float32)
    user_ids, movie_ids = np.arange(len(left)) * 10, np.arange(len(right)) * spread + 1
    return Model(Side(user_ids.astype(np.int32), left), Side(movie_ids.astype(np.int32), right))


def random_model(users: int, movies: int, rank: int, *, seed: int = 0, skew: float = 1.0) -> Model:
    """Normal factors; a greater skew makes the movies' norms differ more."""
    draws = np.random.default_rng(seed)
    sizes = draws.lognormal(0, skew, size=(movies, 1))
    return model_of(draws.normal(size=(users, rank)), draws.normal(size=(movies, rank)) * sizes)


def some_pairs(model: Model, share: float, seed: int = 0) -> Pairs:
    """Pairs of a user's and a movie's id."""
    users, movies = np.nonzero(
        np.random.default_rng(seed).random((len(model.users.ids), len(model.movies.ids))) < share
    )
    return list(zip(model.users.ids[users].tolist(), model.movies.ids[movies].tolist(), strict=True))


def seen_of(model: Model, pairs: Pairs) -> Seen:
    columns = np.array(pairs, np.int32).reshape(-1, 2)
    return seen_by_id(model, columns[:, 0], columns[:, 1])


def same_bits(left: TopN, right: TopN) -> bool:
    return all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in TopN.__annotations__)
