from __future__ import annotations

import pytest

from reco_platform.config import commands
from reco_platform.config.load import load_config
from reco_platform.config.model import SCALE_KEYS


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (4.0, 2.5, 4.0, 5.0)),
        ({"rating_scale": "1..10"}, (8.0, 5.0, 8.0, 10.0)),
        ({"layout": "book-crossing", "dataset_path": "x"}, (8.0, 5.0, 8.0, 10.0)),
        ({"rating_scale": "1..10", "relevant_rating": 9, "liked_rating": "7"}, (7.0, 5.0, 9.0, 10.0)),
        ({"rating_scale": "-1..1"}, (0.6, 0.0, 0.6, 1.0)),
        ({"rating_column": "none", "time_column": "none"}, (1.0, 0.0, 0.0, 1.0)),
    ],
)
def test_thresholds_that_are_not_given_follow_the_rating_scale(given: dict, expected: tuple) -> None:
    config = load_config(given, {})
    assert tuple(getattr(config, key) for key in SCALE_KEYS) == expected
    assert tuple(config.shaping()[key] for key in SCALE_KEYS) == expected


def test_a_repeated_command_names_the_scale_and_not_what_follows_from_it() -> None:
    repeated = commands.non_default_values(load_config({"rating_scale": "1..10", "liked_rating": 7}, {}))
    assert repeated == {"rating_scale": "1..10", "liked_rating": 7.0}
