"""Sweeps for real: which trials run, what they choose, and that no test row reaches them."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.receipts import read
from support.project import Project, Run

pytestmark = pytest.mark.pipeline

GRID = {"rank": "2,4", "reg_param": "0.05,0.1", "sweep_name": "mine"}


def sweep(project: Project, **config: Any) -> Run:
    return project.gold("sweep", **{**GRID, **config})


def count(run: Run, step: str, outcome: str = "worked") -> int:
    return sum(event["step"] == step and event["event"] == outcome for event in run.events)


def leaderboard(project: Project, name: str = "mine") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.lakehouse() / f"sweeps/{name}/leaderboard.json").read_text("utf-8"))
    return found


def results(project: Project) -> dict[str, str]:
    """What every trial found, without what it took."""
    paths = project.lakehouse().glob("sweeps/trials/*/result.json")
    return {path.parent.name: file_fingerprint(path) for path in paths}


def test_a_two_by_two_sweep_then_gold_from_its_best_then_nothing_to_do(built: Project) -> None:
    run = sweep(built)
    assert run.worked == {"sweep_data", "trial", "leaderboard"}
    assert count(run, "trial") == 4
    assert "4 trials (2 rank x 2 reg_param) by 4 fits, 0 of them done" in run.output
    assert len([line for line in run.output.splitlines() if line.startswith("  trial ")]) == 1, (
        "one line for all trials"
    )
    for log in built.lakehouse().glob("_logs/trial_*.log"):
        line = r"\[trial \w{8}\] iteration 3/3: objective .*, rmse_all .* on validation, .* s, .* s left"
        assert re.search(line, log.read_text("utf-8"))
    lines = leaderboard(built)["trials"]
    assert [line["place"] for line in lines] == [1, 2, 3, 4]
    assert [line["value"] for line in lines] == sorted(line["value"] for line in lines)
    assert all(line["low"] < line["value"] < line["high"] and line["peak_memory_mb"] for line in lines)
    rows = list(csv.DictReader((built.lakehouse() / "sweeps/mine/leaderboard.csv").open(encoding="utf-8")))
    assert [float(row["value"]) for row in rows] == [line["value"] for line in lines]
    before = built.receipts()
    assert sweep(built).events == []
    assert built.receipts() == before
    assert not [path for path, text in before.items() if "seconds" in text or "peak_memory" in text]

    valid = built.reco("validate", "--layer", "sweeps", "--deep")
    assert valid.code == 0 and "4 of 4 trials match their receipts" in valid.output, valid.output
    made = json.loads(built.reco("explain", "sweeps/mine", "--json", rank=9).stdout)
    assert len(made["inputs"]) == 4 and made["differs_now"] == []
    assert {trial["step"] for trial in made["inputs"]} == {"trial"}
    assert all(trial["differs_now"] == [] and trial["inputs"][0]["step"] == "sweep_data" for trial in made["inputs"])

    best = built.lakehouse() / "sweeps/mine/best.yaml"
    chosen = yaml.safe_load(best.read_text("utf-8"))
    assert {key: chosen[key] for key in ("rank", "reg_param")} == {
        key: lines[0]["params"][key] for key in ("rank", "reg_param")
    }
    options = {"rank": None, "max_iter": None, "dataset": None}  # all of them are in the file
    words = ("gold", "--configfile", str(best))
    gold = built.gold(*words, **options)
    version = built.receipt("gold/models/als")["facts"]["model_version"]
    metrics = json.loads((built.lakehouse() / f"gold/metrics/run_metrics_{version}.json").read_text("utf-8"))
    assert metrics["chosen_by"] == "mine"
    assert metrics["hyperparameters"]["reg_param"] == lines[0]["params"]["reg_param"]
    assert gold.worked
    assert built.gold(*words, **options).events == [], "nothing to be done"

    more = sweep(built, rank="2,4,3", sweep_name=None)
    assert count(more, "trial") == 2, "only the trials of the added value run"
    assert "6 trials (3 rank x 2 reg_param) by 6 fits, 4 of them done" in more.output
    assert "2 worked" in more.output


def test_max_iter_as_an_axis_is_one_fit_and_a_line_for_each_value(built: Project) -> None:
    run = sweep(built, max_iter="1,2,5", rank=4, reg_param=0.05, sweep_metric="ndcg@10")
    assert count(run, "trial") == 1
    found = leaderboard(built)
    assert sorted(line["iteration"] for line in found["trials"]) == [1, 2, 5]
    assert [line["value"] for line in found["trials"]] == sorted(
        (line["value"] for line in found["trials"]), reverse=True
    )
    assert found["metric"] == "ndcg@10" and not found["smaller_is_better"]


def test_a_sweep_of_the_ranking_model_then_gold_from_its_best(built: Project) -> None:
    grid = {"ranking_model": "ease,implicit", "ranking_rank": "2,4", "ranking_max_iter": "1,3", "max_items": 50}
    options = {"sweep_name": "lists", "relevant_rating": 3}
    run = built.gold("sweep", **grid, **options)
    assert run.worked == {"sweep_data", "trial", "leaderboard"}
    assert count(run, "trial") == 3, "ease has neither rank nor iterations"
    assert "lists of the ranking model: 8 trials" in run.output and "by 3 fits" in run.output
    found = leaderboard(built, "lists")
    assert (found["metric"], found["smaller_is_better"]) == ("ndcg@10", False)
    lines = found["trials"]
    assert sorted((line["params"]["ranking_model"], line["iteration"]) for line in lines) == [
        ("ease", 1), ("implicit", 1), ("implicit", 1), ("implicit", 3), ("implicit", 3)
    ]  # fmt: skip
    assert [line["value"] for line in lines] == sorted((line["value"] for line in lines), reverse=True)
    before = results(built)
    assert built.gold("sweep", **grid, **options).events == []
    assert not built.gold("sweep", **grid, **options, rank=3, top_n=4).worked & {"trial"}, "another model's keys"
    assert results(built) == before
    valid = built.reco("validate", "--layer", "sweeps", "--deep")
    assert valid.code == 0 and "3 of 3 trials match their receipts" in valid.output, valid.output
    assert json.loads(built.reco("explain", "sweeps/lists", "--json", relevant_rating=3).stdout)["differs_now"] == []

    best = built.lakehouse() / "sweeps/lists/best.yaml"
    chosen = yaml.safe_load(best.read_text("utf-8"))
    assert {key: chosen[key] for key in ("ranking_model", "chosen_by")} == {
        "ranking_model": lines[0]["params"]["ranking_model"], "chosen_by": "lists"
    }  # fmt: skip
    gold = built.gold("gold", "--configfile", str(best), dataset=None, ranking_model=None, ranking_max_iter=None)
    assert "train_ranking" in gold.worked
    version = built.receipt("gold/metrics/run_metrics")["facts"]["model_version"]
    metrics = json.loads((built.lakehouse() / f"gold/metrics/run_metrics_{version}.json").read_text("utf-8"))
    assert metrics["chosen_by"] == "lists" and metrics["evaluation"]["ranking_system"] == chosen["ranking_model"]


def test_a_failed_trial_is_named_and_the_others_go_on_and_the_next_run_tries_it_again(built: Project) -> None:
    grid = {"min_user_ratings": "1,100000", "rank": 4, "reg_param": 0.05}
    run = built.snakemake("sweep", **{**GRID, **grid})
    assert run.code != 0
    assert "1 of 2 trials failed" in run.output and "min_user_ratings=100000" in run.output
    assert (count(run, "trial"), count(run, "trial", "failed")) == (1, 1)
    good, bad = leaderboard(built)["trials"]
    assert (good["place"], good["error"], bad["place"]) == (1, None, None)
    assert "a user with at least min_user_ratings=100000" in bad["error"]
    again = sweep(built, **grid, sweep_allow_failures="true")
    assert (count(again, "trial"), count(again, "trial", "failed")) == (0, 1)
    assert "trying again" in again.output


def test_no_test_row_reaches_a_trial(built: Project) -> None:
    sweep(built, rank=2)
    before, best = results(built), (built.lakehouse() / "sweeps/mine/best.yaml").read_bytes()
    poison(built)
    run = sweep(built, rank=2)
    assert {"interactions", "sweep_data"} <= run.worked, "the test fold has changed"
    assert not {"trial", "leaderboard"} & run.worked, "what trials read has not"
    assert results(built) == before
    lakehouse = built.lakehouse()
    for layer in ("bronze", "silver", "gold"):
        shutil.rmtree(lakehouse / layer)
    for result in lakehouse.glob("sweeps/trials/*/result.json"):
        params = json.loads(result.read_text("utf-8"))["params"]
        receipt = result.with_suffix(".receipt.json")
        shutil.rmtree(result.parent / "_memo")
        words = ["--params", json.dumps(params), "--lakehouse", str(lakehouse), "--dataset", "small", "--threads", "1"]
        words += ["--sweep-data", str(lakehouse / "sweeps/data.receipt.json"), "--receipt", str(receipt)]
        command = [sys.executable, "scripts/trial.py", *words]
        ran = subprocess.run(command, cwd=built.root, env=built.environment({"PYTHONPATH": "src"}), check=False)
        assert ran.returncode == 0
    assert results(built) == before, "a trial needs nothing but sweeps/data"
    assert (lakehouse / "sweeps/mine/best.yaml").read_bytes() == best


def poison(project: Project) -> None:
    """The worst rating for every test row, in the user's own file."""
    receipt = read(project.lakehouse() / "gold/interactions.receipt.json")
    rows = tables.open_table(project.lakehouse(), receipt, "").read(["user_id", "movie_id", "fold"]).to_pylist()
    test = {(str(row["user_id"]), str(row["movie_id"])) for row in rows if row["fold"] == "test"}
    path = project.path("data/ratings.csv")
    lines = [line.split(",") for line in path.read_text("utf-8").splitlines()]
    for cells in lines:
        if tuple(cells[:2]) in test:
            cells[2] = "0.5"
    path.write_text("".join(f"{','.join(cells)}\n" for cells in lines), "utf-8", newline="")


def test_gold_refuses_lists_and_a_sweep_together(built: Project) -> None:
    lists = built.snakemake("gold", rank="2,4")
    assert lists.code == 2 and "snakemake --cores 2 sweep" in lists.output
    models = built.snakemake("sweep", **GRID, ranking_rank="2,4")
    assert models.code == 2 and "a sweep tunes one model" in models.output
    both = built.snakemake("gold", "sweep", **GRID)
    assert both.code == 2 and "separate runs" in both.output
