"""`reco runs` and `reco compare` on real runs."""

from __future__ import annotations

import json

import pytest

from support.project import Project

pytestmark = pytest.mark.pipeline


def test_two_runs_are_listed_and_compared_on_the_same_test_fold(built: Project) -> None:
    first = built.receipt("gold/metrics/run_metrics")["facts"]["model_version"]
    built.gold(rank=2, tracking=None)
    second = built.receipt("gold/metrics/run_metrics")["facts"]["model_version"]

    listed = built.reco("runs")
    assert listed.code == 0, listed.output
    lines = listed.stdout.splitlines()
    assert lines[0].startswith(second) and "differs from the run before: rank 4 -> 2" in lines[2]
    found = {run["version"]: run for run in json.loads(built.reco("runs", "--json").stdout)}
    assert set(found) == {first, second} and found[first]["params"]["rank"] == 4

    said = built.reco("compare", first, second[:8], "--html", str(built.path("page.html")))
    assert said.code == 0, said.output
    assert "rank               4 -> 2" in said.stdout and "difference" in said.stdout
    (compared,) = json.loads(built.reco("compare", first, second, "--json").stdout)
    assert compared["params"] == {"rank": [4, 2]} and compared["same_data"] and compared["code"] == []
    ndcg = compared["differences"]["ndcg@10"]
    assert ndcg["low"] <= ndcg["value"] <= ndcg["high"]
    for metric, one in compared["differences"].items():
        values = [found[version]["metrics"][metric]["value"] for version in (first, second)]
        assert one["value"] == pytest.approx(values[1] - values[0], abs=1e-9), metric
    lists = compared["lists"]
    assert 0 < lists["changed"] <= lists["users"] and len(lists["examples"]) == min(10, lists["changed"])
    page = built.path("page.html").read_text("utf-8")
    assert "Comparison of runs" in page and first in page and "verdict on the second" in page

    same = built.reco("compare", first, first)
    assert "no difference that the data can show" in same.stdout and "0 of" in same.stdout
    unknown = built.reco("compare", first, "nosuch")
    assert unknown.code == 2 and second in unknown.output and "Traceback" not in unknown.output
    assert built.reco("compare", first).code == 2
