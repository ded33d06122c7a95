"""tools/fit_demo.py: its facts counted by hand, and the demo's facts, which are to be like those of MovieLens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import fit_demo
import numpy as np
import pyarrow as pa
import pytest


def table_of_ratings(rows: list[tuple[int, int]]) -> pa.Table:
    """Ratings of a movie in a year."""
    moments = [datetime(year, 6, 1, tzinfo=UTC) for _, year in rows]
    return pa.table(
        {"movie_id": [movie for movie, _ in rows], "rating_ts": pa.array(moments, pa.timestamp("us", "UTC"))}
    )


def test_recency_compares_a_movie_with_itself_in_years_of_equal_ratings() -> None:
    """Movie 1 is of 2011: four ratings in 2012, one each in 2013 and 2014. Movie 2 is old, movie 3 without a year.

    2012 has 7 ratings, the two years after it 14, so that two later ratings let expect one: four are 4 times as many.
    """
    new = [(1, 2012)] * 4 + [(1, 2013), (1, 2014)]
    old = [(2, 2010)] + [(2, 2012)] * 3 + [(2, 2013)] * 6 + [(3, 2014)] * 6
    movies = pa.table({"movie_id": [1, 2, 3], "release_year": pa.array([2011, 1950, None], pa.int32())})
    assert fit_demo.recency(table_of_ratings(new + old), movies) == {
        "share of ratings up to the year after release": f"{4 / 22:.2f}",
        "rate in the year after release, over the next two": "4.00",
    }


def test_the_share_of_the_first_is_that_of_the_sum() -> None:
    assert fit_demo.share_of_first(np.array([5, 3, 2]), 2) == pytest.approx(0.8)


@pytest.mark.slow
def test_the_demo_is_like_movielens_in_what_models_can_learn(demo_folder: Path) -> None:
    """Ranges around the facts of ml-latest-small in docs/generated-data.md; gains over popularity are in brackets."""
    found = fit_demo.facts(demo_folder, 2)
    assert float(found["mean rating"]) == pytest.approx(3.50, abs=0.1)
    assert 1.2 < float(found["rate in the year after release, over the next two"]) < 2.0
    assert 0.4 < float(found["users without training ratings, global_time"]) < 0.8
    for split in fit_demo.SPLITS:
        for model in ("implicit ALS", "EASE"):
            assert 1.4 < gain(found[f"NDCG@10 of {model}, {split}"]) < 2.3


def gain(text: str) -> float:
    return float(text.split("(")[1].removesuffix(" times)"))
