"""Whole runs with a ranking model beside the rating model: who is listed, what reruns, and what is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reco_platform.lakehouse import tables
from reco_platform.lakehouse.receipts import read
from support.answers import check_answers
from support.project import Project

pytestmark = pytest.mark.pipeline

BOTH = {"ranking_model": "implicit", "refit": "true", "fallback_lists": "true", "ranking_rank": 4}
AFTER_RANKING = {"recommend", "fallback", "evaluate", "run_metrics", "metrics_table", "gate", "report"}
RANKING = {"train_ranking", "refit_ranking"} | AFTER_RANKING


def rows_of(project: Project, artifact: str) -> list[dict[str, Any]]:
    receipt = read(project.lakehouse() / f"{artifact}.receipt.json")
    rows: list[dict[str, Any]] = tables.open_table(project.lakehouse(), receipt, "").read().to_pylist()
    return rows


def metrics_of(project: Project) -> dict[str, Any]:
    path = project.lakehouse() / project.receipt("gold/metrics/run_metrics")["path"]
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_the_two_models_rerun_apart_and_together_serve_every_user(built: Project) -> None:
    before = metrics_of(built)
    first = built.gold(**BOTH)
    assert first.worked == RANKING, "the rating model is up to date"
    interactions = rows_of(built, "gold/interactions")
    own, popular = (rows_of(built, f"gold/recommendations_{name}") for name in ("als", "fallback"))
    users = {row["user_id"] for row in interactions}
    assert sorted(row["user_id"] for row in own) + [row["user_id"] for row in popular] == [*sorted(users), None]
    rated = {(row["user_id"], row["movie_id"]) for row in interactions}
    for row in own:
        listed = [item["movie_id"] for item in row["recommendations"]]
        assert len(set(listed)) == len(listed) == 10
        assert not {(row["user_id"], movie) for movie in listed} & rated, "rated in any fold"
    found = metrics_of(built)
    rating, ranking = before["model_version"], built.receipt("gold/models/ranking")["facts"]["model_version"]
    assert found["model_version"] == f"{rating.partition('-')[0]}-{ranking}"
    assert found["ranking"]["hyperparameters"]["ranking_rank"] == 4
    assert found["ranking"]["model_version"] != found["served_version"], "a refit has a version of its own"
    assert found["recommendations"] == {"top_n": 10, "users": len(users), "popular_users": 0, "other_users": 0}
    evaluation = found["evaluation"]
    assert evaluation["ranking_system"] == "implicit"
    assert evaluation["systems"]["als"] == before["evaluation"]["systems"]["als"], "metrics stay those of the split"
    assert {verdict["baseline"] for verdict in evaluation["verdicts"] if verdict["metric"] == "ndcg@10"} == {
        "als", "als_plain", "biases", "popular", "popular_recent", "item_knn", "ease",
    }  # fmt: skip
    assert f"Recommendations: {len(users)} users with a list of their own" in first.output
    assert built.reco("validate", **BOTH).code == 0
    assert check_answers(built.lakehouse()).model().kind == "implicit"
    other = built.gold(**BOTH | {"ranking_rank": 5})
    assert other.worked == RANKING
    changed = built.gold(**BOTH, rank=5)
    assert not changed.worked & {"train_ranking", "refit_ranking", "recommend", "fallback"}
    assert {"train_als", "evaluate", "run_metrics"} <= changed.worked
    versions = {path.stem for path in built.lakehouse().glob("gold/metrics/run_metrics_*.json")}
    assert len(versions) == 4, "one file for each pair of models"
    again = built.gold(**BOTH)
    assert again.worked <= {"report"}
    assert metrics_of(built) == found


def test_weights_between_movies_serve_lists_and_a_threshold_sends_others_to_popular_movies(built: Project) -> None:
    ease = {**BOTH, "ranking_model": "auto", "positives": "liked", "liked_rating": 5, "refit": "false"}
    run = built.gold(**ease)
    assert "train_als" not in run.worked
    found = metrics_of(built)
    assert found["evaluation"]["ranking_system"] == found["ranking"]["hyperparameters"]["ranking_model"] == "ease"
    assert f"lists    by EASE: {found['ranking']['chosen_because']}" in run.output
    assert "that EASE is chosen for" in found["ranking"]["chosen_because"]
    own, popular = (rows_of(built, f"gold/recommendations_{name}") for name in ("als", "fallback"))
    interactions = rows_of(built, "gold/interactions")
    fans = {row["user_id"] for row in interactions if row["rating"] >= 5 and row["fold"] != "test"}
    assert {row["user_id"] for row in own} == fans
    assert {row["user_id"] for row in popular} == {row["user_id"] for row in interactions} - fans | {None}
    assert built.reco("validate", **ease).code == 0
    assert check_answers(built.lakehouse()).model().kind == "ease"
    counts = found["recommendations"]
    assert (counts["users"], counts["popular_users"] + 1) == (len(own), len(popular))
    differing = built.gold(**ease, diversify=0.5)
    assert differing.worked == {"recommend", "evaluate", "run_metrics", "metrics_table", "report"}
    lists, before = ([[one["movie_id"] for one in row["recommendations"]] for row in rows] for rows in (
        rows_of(built, "gold/recommendations_als"), own
    ))  # fmt: skip
    assert lists != before and [one[0] for one in lists] == [one[0] for one in before]
    novelty = [one["evaluation"]["systems"]["ease"]["novelty@10"] for one in (found, metrics_of(built))]
    assert novelty[0] != novelty[1], "the evaluation judges the lists that are served"


def test_a_catalogue_too_large_for_a_baseline_leaves_it_out_with_its_reason(built: Project) -> None:
    limit = "MAX_PRODUCTS = 100_000_000_000"
    built.edit("src/reco_platform/models/ranking/shaping.py", limit, "MAX_PRODUCTS = 10")
    run = built.gold(**BOTH)
    absent = metrics_of(built)["evaluation"]["absent"]
    assert set(absent) == {"ease", "item_knn"}
    assert all("more than this model can use" in reason for reason in absent.values())
    assert "EASE" not in run.output.split("NDCG@10")[1].split("gate")[0]
    failed = built.snakemake(**BOTH | {"ranking_model": "ease", "refit": "false"})
    assert failed.code == 1
    assert "Failed: train_ranking" in failed.output
    assert "ranking_model=implicit" in failed.output
