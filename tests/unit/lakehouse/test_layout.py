"""Paths of a lakehouse."""

from __future__ import annotations

from pathlib import Path

from reco_platform.lakehouse import layout
from reco_platform.lakehouse.layout import Lakehouse


def test_a_receipt_lies_beside_what_it_stands_for() -> None:
    lakehouse = Lakehouse("results/demo", "demo")
    assert lakehouse.receipt("silver/ratings") == "results/demo/silver/ratings.receipt.json"
    assert lakehouse.content("silver/ratings") == Path("results/demo/silver/ratings")


def test_bronze_and_reports_of_two_data_sets_never_meet() -> None:
    first, second = Lakehouse("lake", "a"), Lakehouse("lake", "b")
    for table in layout.TABLES:
        assert first.bronze(table) != second.bronze(table)
        assert first.quality_report(table) != second.quality_report(table)
    assert first.etl_report != second.etl_report


def test_results_of_two_models_never_meet() -> None:
    for place in (layout.model, layout.evaluation, layout.run_metrics, layout.report):
        assert place("0a-1b") != place("0a-1c")
        assert "0a-1b" in place("0a-1b")


def test_no_two_tables_share_a_folder() -> None:
    places = [*map(layout.silver, layout.TABLES), *map(layout.quarantine, layout.TABLES), layout.INTERACTIONS]
    places += [layout.RECOMMENDATIONS, layout.MODELS]
    assert len(set(places)) == len(places)
    assert not any(a != b and Path(b).is_relative_to(a) for a in places for b in places)
