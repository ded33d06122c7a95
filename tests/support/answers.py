"""Answers of an open lakehouse beside the tables of gold."""

from __future__ import annotations

from pathlib import Path

import pytest

import reco_platform


def check_answers(root: Path, names: tuple[str, ...] = ("recommendations", "fallback")) -> reco_platform.OpenLakehouse:
    """Checks that every stored list is the answer, and begins a longer answer; that parts add up; that an answer from
    a user's own ratings is near. Gives the open lakehouse."""
    lake = reco_platform.open(root)
    rows = [row for name in names for row in stored(lake, name)]
    assert rows
    for row in rows:
        listed = [(item["movie_id"], item["score"]) for item in row["recommendations"]]
        for n in (10, 11):
            found = lake.recommend(row["user_id"], n)
            assert [(movie.movie_id, movie.score) for movie in found][:10] == listed
            assert found.source == ("popular" if row["model_version"].startswith("popular-") else "model")
        if found.source == "model":
            explained = lake.explain(row["user_id"], listed[0][0])
            assert explained.score == pytest.approx(listed[0][1], abs=1e-4)
            assert abs(explained.remainder) < 0.2
    return lake


def stored(lake: reco_platform.OpenLakehouse, name: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = lake.table(name, ["user_id", "recommendations", "model_version"]).to_pylist()
    return rows
