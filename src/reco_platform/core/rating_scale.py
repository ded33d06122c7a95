"""The scale of a data set's ratings: its bounds, and what follows from them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

NO_RATINGS = "none"
"""The scale of data without ratings: the rating of an interaction is its weight, which has no upper bound."""

_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)"
PATTERN = rf"^(?:{NO_RATINGS}|{_NUMBER}\.\.{_NUMBER}(?::{_NUMBER})?)$"
"""Pattern of the config key `rating_scale`: least..greatest, or least..greatest:step, or none."""

LIKED_SHARE, DISLIKED_SHARE = 0.8, 0.5
"""How far up the scale the default thresholds are, from 0 or, where ratings may be negative, from the least rating."""


@dataclass(frozen=True)
class RatingScale:
    """Bounds of the ratings, both included.

    Attributes:
        least: the least rating; 0 for data without ratings.
        greatest: the greatest rating; infinity for data without ratings.
        step: the distance of neighbouring ratings; None if every number between the bounds is a rating.
    """

    least: float = 0.5
    greatest: float = 5.0
    step: float | None = None

    @property
    def has_ratings(self) -> bool:
        """Whether users gave the ratings; otherwise they are weights of interactions."""
        return math.isfinite(self.greatest)

    @property
    def liked_rating(self) -> float:
        """Default of the config keys liked_rating and relevant_rating: 4 of 0.5..5, 8 of 1..10."""
        return self._threshold(LIKED_SHARE) if self.has_ratings else 1.0

    @property
    def best_rating(self) -> float:
        """Default of the config key best_rating: the greatest; without ratings an interaction of weight 1."""
        return self.greatest if self.has_ratings else 1.0

    @property
    def disliked_rating(self) -> float:
        """Default of the config key disliked_rating: 2.5 of 0.5..5, 5 of 1..10."""
        return self._threshold(DISLIKED_SHARE) if self.has_ratings else 0.0

    @property
    def relevant_rating(self) -> float:
        """Default of the config key relevant_rating; without ratings every interaction is relevant."""
        return self.liked_rating if self.has_ratings else 0.0

    def _threshold(self, share: float) -> float:
        origin = min(self.least, 0.0)
        return float(f"{origin + share * (self.greatest - origin):.6g}")

    def clip(self, rating: float) -> float:
        """A predicted rating for showing: never below or above the scale. Tables keep the prediction itself."""
        return min(max(rating, self.least), self.greatest)

    def clip_all(self, ratings: np.ndarray) -> np.ndarray:
        """As `clip`, for an array of any shape."""
        return np.clip(ratings, self.least, self.greatest)

    def __str__(self) -> str:
        """As in the configuration."""
        if not self.has_ratings:
            return NO_RATINGS
        return f"{self.least:g}..{self.greatest:g}" + ("" if self.step is None else f":{self.step:g}")


def parse_rating_scale(text: str) -> RatingScale:
    """The scale that a config value describes, such as `1..10`, `0.5..5:0.5`, `-1..1` or `none`.

    Raises:
        ValueError: it has another form, its bounds are not in ascending order, or its step does not fit between them.
    """
    if text == NO_RATINGS:
        return RatingScale(0.0, math.inf)
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is not a rating scale: expected least..greatest, such as 1..10, or none")
    bounds, _, step = text.partition(":")
    least, greatest = (float(bound) for bound in bounds.split(".."))
    scale = RatingScale(least, greatest, float(step) if step else None)
    if not least < greatest:
        raise ValueError(f"{text!r}: the least rating must be below the greatest")
    if scale.step is not None and not 0 < scale.step <= greatest - least:
        raise ValueError(f"{text!r}: the step must be above 0 and at most {greatest - least:g}")
    return scale
