"""Paths of a lakehouse."""

from __future__ import annotations

from pathlib import Path

from reco_platform.lakehouse import layout
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline.steps_table import STEP_OF, artifact_of


def test_a_receipt_is_beside_its_content() -> None:
    lakehouse = Lakehouse("results/demo", "demo")
    assert lakehouse.receipt("silver/ratings") == "results/demo/silver/ratings.receipt.json"
    assert lakehouse.content("silver/ratings") == Path("results/demo/silver/ratings")


def test_two_data_sets_share_no_path_in_bronze_and_reports() -> None:
    first, second = Lakehouse("lake", "a"), Lakehouse("lake", "b")
    for table in layout.TABLES:
        assert first.bronze(table) != second.bronze(table)
        assert first.quality_report(table) != second.quality_report(table)
    assert artifact_of("etl_report", "a") != artifact_of("etl_report", "b")


def test_two_models_share_no_result_path() -> None:
    versioned = [step for step in STEP_OF.values() if step.is_versioned]
    assert {"train_als", "evaluate", "run_metrics", "report"} <= {step.name for step in versioned}
    for step in versioned:
        first, second = (step.content_path(step.artifact, "demo", version) for version in ("0a-1b", "0a-1c"))
        assert first != second
        assert "0a-1b" in first


def test_no_two_results_share_a_folder() -> None:
    tables = [step.artifact for step in STEP_OF.values() if step.kind in ("table", "model")]
    places = [*tables, *map(layout.quarantine, layout.TABLES)]
    assert len(set(places)) == len(places) >= 10
    assert not any(a != b and Path(b).is_relative_to(a) for a in places for b in places)
