from __future__ import annotations

import math

import numpy as np
import pytest

from reco_platform.core.rating_scale import RatingScale, parse_rating_scale


@pytest.mark.parametrize(
    ("text", "liked", "disliked"),
    [("0.5..5", 4, 2.5), ("1..5", 4, 2.5), ("1..10", 8, 5), ("0..100", 80, 50), ("-1..1", 0.6, 0), ("-10..10:1", 6, 0)],
)
def test_the_default_thresholds_lie_in_the_upper_part_of_the_scale(text: str, liked: float, disliked: float) -> None:
    scale = parse_rating_scale(text)
    assert (scale.liked_rating, scale.disliked_rating, scale.relevant_rating) == (liked, disliked, liked)
    assert scale.best_rating == scale.greatest
    assert str(scale) == text


def test_the_scale_of_movielens_is_the_default() -> None:
    assert parse_rating_scale("0.5..5") == RatingScale()


def test_without_ratings_every_interaction_is_liked_and_relevant() -> None:
    scale = parse_rating_scale("none")
    assert not scale.has_ratings
    assert (scale.liked_rating, scale.disliked_rating, scale.relevant_rating) == (1, 0, 0)
    assert scale.best_rating == 1
    assert scale.clip(1e9) == 1e9
    assert str(scale) == "none"


def test_a_prediction_is_shown_within_the_scale() -> None:
    scale = parse_rating_scale("1..10")
    assert [scale.clip(value) for value in (10.3, 0.2, 7.25)] == [10, 1, 7.25]
    assert scale.clip_all(np.array([[10.3], [7.25]])).tolist() == [[10], [7.25]]


def test_a_step_is_kept() -> None:
    assert parse_rating_scale("0.5..5:.5").step == 0.5
    assert parse_rating_scale("1..10").step is None


@pytest.mark.parametrize(
    "text", ["5", "5..1", "1..1", "1..5:0", "1..5:9", "a..b", "", "1..5:", "1...5", f"1..{math.inf}"]
)
def test_another_text_is_not_a_scale(text: str) -> None:
    with pytest.raises(ValueError, match=r"scale|below|step"):
        parse_rating_scale(text)
