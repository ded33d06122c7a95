"""What a ranking model learns from: which interactions count, with which value and which weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reco_platform.core.arrays import BoolArray, Float32Array, Int64Array
from reco_platform.core.errors import DataError
from reco_platform.splits.interactions import MICROSECONDS_OF_A_DAY

Kind = Literal["all", "liked", "graded", "weighted"]


@dataclass(frozen=True)
class Positives:
    """Interactions as training data.

    Attributes:
        kept: which interactions count, shape (interactions,).
        values: what to predict for those that count: 1 for a liked movie, 0 for one like an unrated movie; None if all
            are 1.
        weights: of their squared errors, above 0; None if all are 1.
    """

    kept: BoolArray
    values: Float32Array | None
    weights: Float32Array | None

    @property
    def strengths(self) -> Float32Array:
        """Value times weight of each interaction that counts, for models without weights."""
        strengths = np.ones(int(self.kept.sum()), np.float32)
        for part in (self.values, self.weights):
            if part is not None:
                strengths *= part
        return strengths


@dataclass(frozen=True)
class RatingRange:
    """The lowest and highest rating of the training data, in stars, and their latest moment, in microseconds."""

    lowest: float
    highest: float
    latest: int


def rating_range(ratings: Float32Array, moments: Int64Array) -> RatingRange:
    """The range of some interactions, at least one."""
    return RatingRange(float(ratings.min()), float(ratings.max()), int(moments.max()))


def positives(ratings: Float32Array, moments: Int64Array, params: Mapping[str, Any]) -> Positives:
    """The positives among the interactions that a model is trained on.

    With `positives`:
        all: every interaction counts, with value 1.
        liked: those rated at least `liked_rating` count, with value 1.
        graded: every interaction counts; its value is 1 from `best_rating` on, 0 up to `disliked_rating`, and rises
            linearly between them.
        weighted: every interaction counts, with value 1; its weight rises linearly from 1 at the lowest rating of the
            data to 1 + `positive_strength` at the highest.

    `positive_half_life` halves the weight of an interaction for so many days before the latest.

    Args:
        ratings: shape (interactions,), at least one.
        moments: microseconds, shape (interactions,).
        params: positives, liked_rating, disliked_rating, best_rating, positive_strength, positive_half_life.

    Raises:
        DataError: if no interaction counts.
    """
    found = positives_within(rating_range(ratings, moments), ratings, moments, params)
    if not found.kept.any():
        raise DataError(
            f"none of the {len(ratings):,} training ratings reaches liked_rating={params['liked_rating']}",
            f"--config liked_rating={float(ratings.max()):g}, or positives=all",
        )
    if found.values is not None and not found.values.any():
        raise DataError(
            f"none of the {len(ratings):,} training ratings is above disliked_rating={params['disliked_rating']:g}",
            "--config disliked_rating=0, or positives=all",
        )
    return found


def positives_within(
    known: RatingRange, ratings: Float32Array, moments: Int64Array, params: Mapping[str, Any]
) -> Positives:
    """The positives among some interactions, as they count beside training data with a range; see `positives`."""
    kind: Kind = params["positives"]
    kept = ratings >= params["liked_rating"] if kind == "liked" else np.ones(len(ratings), bool)
    values, weights = None, None
    if kind == "graded":
        disliked, span = params["disliked_rating"], params["best_rating"] - params["disliked_rating"]
        values = np.clip((ratings - disliked) / span, 0, 1).astype(np.float32)
    if kind == "weighted" and known.highest > known.lowest:
        weights = 1 + params["positive_strength"] * (ratings - known.lowest) / (known.highest - known.lowest)
    if params["positive_half_life"] is not None:
        age = (known.latest - moments) / MICROSECONDS_OF_A_DAY
        # A weight of 0 is not allowed: the oldest interactions would be neither observed nor unobserved.
        decay = np.maximum(np.exp2(-age / params["positive_half_life"]), 1e-6)
        weights = decay if weights is None else weights * decay
    return Positives(kept, values, None if weights is None else weights[kept].astype(np.float32))
