"""The pages of runs and sweeps, without a browser; tests/browser opens them in one."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest

from reco_platform.lakehouse import manifests, tables
from reco_platform.reports import charts, rating_counts, text_summary
from reco_platform.reports.run_page import run_page
from reco_platform.reports.sweep_page import sweep_page
from reco_platform.reports.tied_trials import tie_text
from reco_platform.reports.user_examples import ExampleMovie, user_examples
from support import builders as helpers
from support import page_facts as pagefacts

GRIDS: list[dict[str, list[Any]]] = [
    {"rank": [10, 50, 100]},
    {"rank": [10, 50], "reg_param": [0.05, 0.1, 0.2]},
    {"rank": [10, 50], "reg_param": [0.05, 0.1], "biased": [True, False]},
]
SECTIONS = ["Is it good?", "Data", "Training", "Evaluation", "Recommendations", "Provenance"]


class Page(HTMLParser):
    """The tags of a page with their attributes, and whether each was closed."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "tags are closed in their order"

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@cache
def run_html() -> str:
    return run_page(pagefacts.run_facts())


@cache
def sweep_html(axes: int) -> str:
    return sweep_page(pagefacts.sweep_facts(**GRIDS[axes - 1]))


PAGES = {"run": run_html, **{f"sweep_of_{axes}_axes": partial(sweep_html, axes) for axes in (1, 2, 3)}}


def test_the_sections_of_a_runs_page() -> None:
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", run_html()) == SECTIONS


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_valid_small_and_self_contained(name: str) -> None:
    text = PAGES[name]()
    page = Page(text)
    assert len(text.encode()) < 3_000_000
    assert re.findall(r"https?://(?!www\.w3\.org/)", text) == []
    assert not page.named("script") and not page.named("img")
    assert [link["href"] for link in page.named("link")] == ["data:,"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.named("svg"):
        assert attributes["role"] == "img" and attributes["width"] and attributes["height"]
        named = str(attributes["aria-labelledby"]).split()
        assert len(named) == 2 and set(named) <= set(ids)
    assert all("scope" in attributes for attributes in page.named("th"))
    assert {"header", "main", "footer"} <= {tag for tag, _ in page.tags}
    assert pagefacts.HOSTILE not in text and "<script" not in text
    assert "&lt;script&gt;" in text


def test_the_same_facts_give_the_same_bytes_whatever_the_users_matplotlib_is_set_to() -> None:
    first = run_html()
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert run_page(pagefacts.run_facts()) == first
    assert "2031-07-08" not in first, "the day is shown in the title, the time of writing nowhere"


def test_a_metric_without_a_value_is_shown_with_its_reason() -> None:
    metrics = pagefacts.metrics()
    nothing = {"value": None, "low": None, "high": None, "missing_because": "nobody to average over"}
    metrics["evaluation"]["systems"]["als"]["ndcg@10"] = nothing
    metrics["evaluation"]["verdicts"][1] |= {"value": None, "low": None, "high": None, "verdict": "undecided"}
    text = run_page(pagefacts.run_facts(metrics=metrics))
    assert "nobody to average over" in text and "no value" in text
    assert ">nan<" not in text and ">None<" not in text


def test_numbers_have_thousands_separators_and_units() -> None:
    text = run_html()
    for number in ("75,000", "74,073", "61,728", "1,234 ratings", "12,345", "95%: 0.7800 to 0.8200 stars"):
        assert number in text, number


def test_absent_tags_rejected_rows_and_the_gates_decision_are_shown() -> None:
    text = run_html()
    assert "not in this data set" in text
    assert "900 rows were rejected, for 2 reasons." in text
    assert "Gate: challenger." in text and "Not better." in text


def test_an_engine_without_objective_gives_a_note_instead_of_a_curve() -> None:
    metrics = pagefacts.metrics()
    metrics["training"]["objective"] = []
    metrics["hyperparameters"]["engine"] = "spark-ml"
    text = run_page(pagefacts.run_facts(metrics=metrics))
    assert "The engine spark-ml does not report its objective" in text
    assert 'id="objective-title"' not in text


def test_baselines_that_are_not_beaten_are_highlighted_and_losses_come_first() -> None:
    text = run_html()
    assert text.count('class="warning"') == 2
    assert "It is worse than &#39;most popular&#39; by NDCG@10." in text
    assert text.index(">worse</td>") < text.index(">statistically tied</td>") < text.index(">better</td>")


def test_the_first_screen_names_data_day_lists_and_the_next_command() -> None:
    text = run_html().split('id="data"')[0]
    assert '<h1>made up, <time datetime="2031-07">8 July 2031</time></h1>' in text
    assert "900 users with a list of their own, 12 with the most popular movies" in text
    assert "Catalogue shown, share" in text and "Gini, 0 is even" in text and "Novelty, bits" in text
    assert "reco gold --config ranking_model=auto" in text, "the lists are worse than the most popular movies"


@pytest.mark.slow
def test_predicted_stars_are_clipped_to_the_scale_for_showing() -> None:
    facts = pagefacts.run_facts()
    example = replace(facts.user_examples[0], recommended=[ExampleMovie("Plain (1999)", [], 6.789, None)])
    assert "5.00 ★" in run_page(replace(facts, user_examples=[example]))


def test_advice_goes_by_what_was_lost_and_by_the_split() -> None:
    metrics = pagefacts.metrics()
    metrics["evaluation"]["folds"]["ranked_users"] = 28
    assert [(one.target, *one.options) for one in text_summary.advice(metrics)] == [
        ("gold", "ranking_model"), ("gold", "split", "lakehouse"),
    ]  # fmt: skip
    metrics["dataset_info"]["split_info"]["split"] = "user_time"
    metrics["evaluation"] |= {"ranking_system": "ease"}
    metrics["evaluation"]["verdicts"].append({"metric": "rmse_all", "baseline": "biases", "verdict": "worse"})
    assert [(one.target, *one.options) for one in text_summary.advice(metrics)] == [
        ("sweep", "ranking_model", "positives"), ("sweep", "rank", "reg_param"), ("gold", "test_fraction"),
    ]  # fmt: skip
    metrics["evaluation"] |= {"verdicts": []}
    metrics["evaluation"]["folds"]["ranked_users"] = 580
    assert text_summary.advice(metrics) == []


@pytest.mark.slow
def test_the_page_of_two_models_names_the_one_that_orders_the_lists() -> None:
    metrics = pagefacts.metrics() | {"evaluation": pagefacts.evaluation("implicit")}
    text = run_page(pagefacts.run_facts(metrics=metrics))
    assert "The lists are ordered by another model, implicit ALS." in text
    assert "ranking model (implicit ALS)" in text and "rating model (ALS)" in text
    assert "ordered by another model" not in run_page(pagefacts.run_facts())


def test_axes_are_shown_by_their_number_and_failed_trials_with_their_error() -> None:
    one, two, three = (sweep_html(axes) for axes in (1, 2, 3))
    assert "rmse_all by rank and reg_param" in two and "rmse_all and its axes" in three
    assert "and its axes" not in one and "by rank" not in one
    for text in (one, two, three):
        assert "Failed trials" in text and "Cost against quality" in text and "1,234" in text


def test_a_sweep_without_successful_trials_has_a_page() -> None:
    facts = pagefacts.sweep_facts(rank=[10, 50])
    facts |= {"trials": [pagefacts.failed({"rank": 10})], "smaller_is_better": None}
    assert "No trial succeeded." in sweep_page(facts)


def test_trials_within_the_interval_of_the_best_are_tied_and_the_simplest_is_named() -> None:
    facts = pagefacts.sweep_facts(rank=[50, 10, 20], reg_param=[0.05, 0.1])
    text = "6 of 7 trials are statistically tied with the best"
    assert text in str(tie_text(facts))
    assert "the simplest of them is place 4: rank=10 reg_param=0.1" in str(tie_text(facts))
    page = sweep_page(facts)
    assert text in page and "6 of 6 lie within its 95% interval and have the same shade" in page and "1, tied" in page
    for place, trial in enumerate(facts["trials"][:6]):
        trial |= {"value": 0.9 + place, "low": 0.8 + place, "high": 1.0 + place}
    assert tie_text(facts) is None and "tied" not in sweep_page(facts)
    facts["trials"][0] |= {"low": None, "high": None}
    assert tie_text(facts) is None, "without an interval nothing is said"


def test_a_heat_map_marks_the_best_value_in_both_directions() -> None:
    cells = {("10", "a"): 0.1, ("9", "a"): 0.2}
    smaller, greater = (
        charts.heat_map("x", "t", "d", cells, ("rank", "word"), smaller_is_better=way).svg for way in (True, False)
    )
    assert smaller != greater
    assert smaller.index(">9<") < smaller.index(">10<"), "numbers are in order of their value"


def test_ratings_are_counted_by_month_star_and_movie(tmp_path: Path) -> None:
    table = helpers.ratings_table(rows=40)
    receipt = helpers.publish_ratings(tmp_path, table)
    counts = rating_counts.count_ratings(tables.open_table(tmp_path, receipt, ""))
    assert counts.months == [(2020, 1, 2), (2020, 2, 29), (2020, 3, 9)]
    assert counts.stars == {star / 2: 4 for star in range(1, 11)}
    assert counts.movies.tolist() == [14, 13, 13]


def test_months_and_stars_without_ratings_are_counted_as_none(tmp_path: Path) -> None:
    table = helpers.ratings_table(rows=2)
    late = datetime(2020, 5, 1, tzinfo=UTC)
    columns = {"rating": [1.0, 2.0], "rating_ts": [table["rating_ts"][0].as_py(), late], "month": [1, 5]}
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    receipt = helpers.publish_ratings(tmp_path, table)
    counts = rating_counts.count_ratings(tables.open_table(tmp_path, receipt, ""))
    assert [count for _, _, count in counts.months] == [1, 0, 0, 0, 1]
    assert counts.stars == {1.0: 1, 1.5: 0, 2.0: 1}


def test_a_user_example_has_the_known_and_the_later_ratings(tmp_path: Path) -> None:
    moments = [datetime(2020, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    rows = pa.table(
        {
            "user_id": pa.array([1, 1, 1, 2], pa.int32()),
            "movie_id": pa.array([10, 11, 12, 10], pa.int32()),
            "rating": pa.array([3.0, 4.5, 2.0, 5.0], pa.float32()),
            "rating_ts": pa.array(moments, pa.timestamp("us", "UTC")),
            "fold": ["train", "validation", "test", "train"],
        }
    )
    (tmp_path / "interactions").mkdir()
    file = tmp_path / "interactions" / "part.parquet"
    pa.parquet.write_table(rows, file)
    opened = tables.OpenTable(tmp_path / "interactions", manifests.Manifest("", 0, {file.name: (0, 0, "")}), None)
    best = [{"movie_id": 12, "score": np.float32(4.25), "rank": 1}, {"movie_id": 99, "score": 4.0, "rank": 2}]
    lists = pa.table({"user_id": pa.array([1], pa.int32()), "recommendations": [best]})
    movies = pa.table(
        {"movie_id": pa.array([10, 11, 12], pa.int32()), "title": ["A", "B", "C"], "genres": [["X"], [], ["Y"]]}
    )
    (example,) = user_examples(lists, opened, movies, ("train", "validation"), users=3, count=5)
    assert (example.user_id, example.known_ratings) == (1, 2)
    assert [(one.title, one.score) for one in example.liked] == [("B", 4.5), ("A", 3.0)]
    assert [(one.title, one.genres, one.later_rating) for one in example.recommended] == [
        ("C", ["Y"], 2.0),
        ("movie 99", [], None),
    ]
