"""Small trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reco_platform.models.als.model import Model, Side, write_model
from reco_platform.models.als.native import train
from reco_platform.models.als.ratings import ratings

LARGEST_ID = 2**31 - 1


def dense(ids: Any) -> Any:
    return np.unique(ids, return_inverse=True)[1].astype(np.int32)


def trained_example() -> tuple[Model, Any]:
    """A trained model of 40 users and 30 movies, some ids near the largest, and its (user, movie, rating) columns."""
    rng = np.random.default_rng(0)
    user = (LARGEST_ID - 7 * rng.integers(0, 40, 600)).astype(np.int32)
    movie = (LARGEST_ID - 3 * rng.integers(0, 30, 600)).astype(np.int32)
    value = (0.5 * rng.integers(1, 11, 600)).astype(np.float32)
    return trained(user, movie, value, rank=5), (user, movie, value)


def trained(user: Any, movie: Any, value: Any, **settings: Any) -> Model:
    both = ratings(dense(user), dense(movie), value)
    found = train(both, **({"max_iter": 5, "reg_param": 0.1, "seed": 1, "threads": 2} | settings))
    return Model(Side(np.unique(user), found.users), Side(np.unique(movie), found.movies))


def written(model: Model, folder: Path) -> Path:
    folder.mkdir()
    write_model(model, folder)
    return folder
