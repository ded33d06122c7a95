"""The most popular movies, as a model like any other: one factor, by which every user agrees about every movie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reco_platform.models.als.model import Model, Side
from reco_platform.models.ranking.models import Interactions
from reco_platform.models.ranking.positives import positives


def train(rows: Interactions, params: Mapping[str, Any]) -> Model:
    """A model whose score of a movie, for every user of `rows`, is the sum of the movie's positives.

    With `positive_half_life` that is its popularity of late. Movies without positives are left out.

    Args:
        rows: the training interactions.
        params: of `positives`.

    Raises:
        DataError: if there are no positives.
    """
    found = positives(rows.ratings, rows.moments, params)
    ids, movie = np.unique(rows.movies[found.kept], return_inverse=True)
    scores = np.bincount(movie, found.strengths).astype(np.float32)
    users = np.unique(rows.users)
    return Model(Side(users, np.ones((len(users), 1), np.float32)), Side(ids, scores[:, None]))
