"""Sweeps: the trials of a command line, their ids, scores and ranking."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from reco_platform.config.load import load_config
from reco_platform.config.model import RANKING_AXES, Config
from reco_platform.config.patterns import METRIC, RANKING_METRICS, RATING_METRICS
from reco_platform.core import hashing, project
from reco_platform.core.errors import ConfigError, DataError
from reco_platform.engine import runner
from reco_platform.engine.task import Task
from reco_platform.evaluation import ranking_metrics
from reco_platform.evaluation.dataset import rating_arrays
from reco_platform.evaluation.evaluate import evaluate
from reco_platform.evaluation.half_life import choose_half_life
from reco_platform.evaluation.settings import settings_from_params
from reco_platform.evaluation.user_sums import metric_values
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import training as als_training
from reco_platform.models.als import training_engine
from reco_platform.models.ranking import implicit, popular
from reco_platform.models.ranking.models import RankingModel, train_item_weights
from reco_platform.pipeline.steps_table import STEPS, SWEEP_STEPS
from reco_platform.reports import run_page
from reco_platform.steps import trial
from reco_platform.tuning import data as sweep_data
from reco_platform.tuning import leaderboard, sweeps, validation_score
from reco_platform.tuning.sweeps import Sweep, expand
from reco_platform.tuning.tuned_model import RANKING, RATING


def sweep_for(**given: Any) -> Sweep:
    return expand(given, {})


def problem(**given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        sweep_for(**given)
    assert caught.value.hint
    return f"{caught.value}"


# --- the grid


@pytest.mark.parametrize("ranks", ["10,50", " 10 , 50", [10, 50], ["10", "50"], (10, 50), "10,50,10"])
def test_a_list_in_any_form_is_an_axis(ranks: Any) -> None:
    sweep = sweep_for(rank=ranks, reg_param="0.05,0.1", top_n="7")
    assert [tuple(cell.values.values()) for cell in sweep.cells] == [(10, 0.05), (10, 0.1), (50, 0.05), (50, 0.1)]
    assert {cell.config.top_n for cell in sweep.cells} == {7}
    assert len(sweep.fits) == sweep.size == 4


def test_every_hyperparameter_can_be_an_axis_and_nothing_else() -> None:
    sweep = sweep_for(
        biased="true,false", bias_damping="1,5", seed="1,2", min_user_ratings="1,5", min_item_ratings=[1, 2]
    )
    assert sweep.size == 32
    assert len(sweep.fits) == 24, "the damping shapes only a biased model"
    assert "evaluation_k" not in sweep_for(evaluation_k="5,10", rank="1,2").axes
    assert "top_n=[5, 10]" in problem(top_n=[5, 10])
    assert "top_n='5,10'" in problem(top_n="5,10")


def test_a_grid_without_axes_is_one_trial() -> None:
    assert len(sweep_for(rank="7").cells) == 1


def test_each_cell_is_checked_before_any_job_and_the_message_names_a_trial() -> None:
    said = problem(rank="0,10,50", reg_param="0.1,500")
    assert said.count("in the trial") == 3, "each problem, and both together, once"
    assert all(part in said for part in ("rank='0'", "at least 1", "reg_param='500'", "rank=0 reg_param=0.1"))
    said = problem(biased="true,false", nonnegative="true,false")
    assert "nonnegative=true needs biased=false" in said
    assert "in the trial biased=true nonnegative=true" in said
    assert "nonnegative factors are not supported" in problem(
        engine="native,spark-ml", nonnegative="true", biased="false"
    )
    assert "rank is a list without values" in problem(rank=[])
    assert "not allowed" in problem(rank="10,,50")


def test_a_grid_above_max_trials_is_an_error_with_its_size() -> None:
    ranks, seeds = list(range(1, 13)), list(range(10))
    assert "the grid has 120 trials, and max_trials is 100" in problem(rank=ranks, seed=seeds)
    assert sweep_for(rank=ranks, seed=seeds, max_trials=120).size == 120
    assert len(sweep_for(rank=ranks, seed=seeds, sweep_sample=20).cells) == 20
    assert "of which 20 are to be tried" in problem(rank=ranks, seed=seeds, sweep_sample=20, max_trials=10)


def test_a_sample_is_drawn_by_its_seed_without_repetition() -> None:
    grid = {"rank": list(range(1, 41)), "seed": list(range(100)), "reg_param": [0.1, 0.2]}
    first, again, other = (
        [tuple(cell.values.items()) for cell in sweep_for(**grid, sweep_sample=20, sweep_seed=seed).cells]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(set(first)) == 20
    assert len(sweep_for(rank="1,2", sweep_sample=20).cells) == 2


def test_a_list_for_another_target_is_an_error_that_points_to_sweep() -> None:
    for given in ({"rank": "10,50"}, {"rank": [10, 50]}, {"min_item_ratings": "1,2"}):
        with pytest.raises(ConfigError, match=r"snakemake --cores 2 sweep") as caught:
            load_config(given, {})
        assert "is a list" in caught.value.message


def test_the_plan_has_size_cost_and_the_effect_of_max_iter_by_engine() -> None:
    sweep = sweep_for(rank="10,50", max_iter="5,10")
    said = sweeps.plan_text(sweep, [next(iter(sweep.fits))], 100_000)
    assert "4 trials (2 rank x 2 max_iter) by 2 fits, 1 of them done" in said
    assert re.search(r"to do: 1 fit, 10 iterations, at most about \d+ s on one core", said)
    assert "one fit is scored after each iteration" in said
    said = sweeps.plan_text(sweep_for(rank="10,50", max_iter="5,10", engine="spark-ml", patience=3), [], None)
    assert "each max_iter needs its own fit, and patience has no effect" in said


# --- ids and names


def test_an_id_depends_on_the_parameters_that_shape_the_model_alone() -> None:
    ids = {
        name: next(iter(sweep_for(**given).fits))
        for name, given in {
            "usual": {},
            "same": {
                "top_n": 5,
                "num_blocks": 9,
                "sweep_metric": "ndcg@10",
                "patience": 2,
                "cold_start_strategy": "nan",
            },
            "rank": {"rank": 51},
            "iterations": {"max_iter": 11},
            "filter": {"min_item_ratings": 2},
            "engine": {"engine": "spark-ml"},
        }.items()
    }
    assert ids["usual"] == ids["same"]
    assert len(set(ids.values())) == 5
    assert ids["usual"] == next(iter(sweep_for(engine="native").fits))


def test_a_trials_id_differs_from_golds_model_with_the_same_parameters() -> None:
    sweep = sweep_for()
    gold = hashing.short_hash(training_engine.shaping_params(sweep.base.model_dump(), "native"))
    assert gold not in sweep.fits


def test_two_sweeps_share_the_fits_of_the_trials_they_have_in_common() -> None:
    first, more, other = sweep_for(rank="10,50"), sweep_for(rank="10,50,70"), sweep_for(reg_param="0.1,0.2", rank=50)
    assert set(first.fits) < set(more.fits)
    assert len(set(first.fits) & set(other.fits)) == 1
    assert len({first.name, more.name, other.name}) == 3
    assert sweep_for(rank="50,10").name == first.name
    assert sweep_for(rank="10,50", sweep_metric="mae_all").name != first.name
    assert sweep_for(rank="10,50", sweep_name="mine").name == "mine"


def test_max_iter_is_one_fit_natively_and_one_each_with_spark() -> None:
    native, spark = sweep_for(max_iter="2,5,9", rank="3,4"), sweep_for(max_iter="2,5,9", rank="3,4", engine="spark-ml")
    assert len(native.fits) == 2 and len(native.trials) == 6
    assert {fit.params["max_iter"] for fit in native.fits.values()} == {9}
    assert len(spark.fits) == 6
    assert set(native.fits) == set(sweep_for(max_iter=9, rank="3,4").fits)


@pytest.mark.parametrize("name", ["data", "trials", "../other", "a/b", ".hidden"])
def test_an_invalid_sweep_name_is_refused(name: str) -> None:
    assert "sweep_name" in problem(sweep_name=name)


# --- the test fold is not used


def test_one_step_of_sweeps_alone_reads_interactions() -> None:
    readers = [name for name in SWEEP_STEPS if {"interactions", "ratings", "model"} & set(STEPS[name].reads)]
    assert readers == ["sweep_data"]
    assert STEPS["trial"].reads == ("sweep_data",)


def random_folds(seed: int = 3, users: int = 60, movies: int = 40) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Train and validation rows, and movies; ids have gaps."""
    rng = np.random.default_rng(seed)
    pairs = np.array([(7 * user + 3, 5 * movie + 2) for user in range(users) for movie in range(movies)], np.int32)
    pairs = rng.permutation(pairs)[:1200]
    stars = (rng.integers(1, 11, len(pairs)) / 2).astype(np.float32)
    moments = pa.array(np.arange(len(pairs)) * 10**9).cast(pa.timestamp("us", "UTC"))
    rows = pa.table({"user_id": pairs[:, 0], "movie_id": pairs[:, 1], "rating": stars, "rating_ts": moments})
    genres = [["War"] if movie % 2 else ["Drama", "War"] for movie in range(movies)]
    table = pa.table({"movie_id": np.array([5 * movie + 2 for movie in range(movies)], np.int32), "genres": genres})
    return rows.slice(0, 1000), rows.slice(1000), table


def test_the_folds_are_mapped_as_they_were_written_and_fingerprinted(tmp_path: Path) -> None:
    folds = sweep_data.build_folds(*random_folds())
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    first, again = sweep_data.write_folds(folds, tmp_path / "a"), sweep_data.write_folds(folds, tmp_path / "b")
    assert first == again
    found = sweep_data.read_folds(tmp_path / "a")
    assert isinstance(found.train["rating"], np.memmap)
    for fold, rows in zip(sweep_data.FOLDS, random_folds(), strict=False):
        columns = getattr(found, fold)
        assert np.array_equal(found.user_ids[columns["user_index"]], rows["user_id"].to_numpy())
        assert np.array_equal(found.movie_ids[columns["movie_index"]], rows["movie_id"].to_numpy())
        assert np.array_equal(columns["rating"], rows["rating"].to_numpy())
    assert not np.array_equal(first, sweep_data.write_folds(sweep_data.build_folds(*random_folds(4)), tmp_path / "b"))


# --- scores


def task_in(tmp_path: Path, **params: Any) -> Task:
    """A trial with the folds of `drawn`."""
    folder = tmp_path / "sweeps" / "data"
    if not folder.is_dir():
        staging = publish.create_staging_folder(folder)
        found = sweep_data.write_folds(sweep_data.build_folds(*random_folds()), staging)
        publish.publish_folder(staging, folder, fingerprint=found, rows=1000)
    fingerprint = next((folder / "_manifests").glob("*.json")).stem
    data = Receipt("sweeps/data", "folder", "sweeps/data", "npy", None, 1000, "", fingerprint)
    sweep = sweep_for(**{"rank": 4, "max_iter": 6, "evaluation_k": "5", **params})
    (fit,) = sweep.fits.values()
    values = {key: getattr(sweep.base, key) for key in STEPS["trial"].keys} | fit.params
    artifact = f"sweeps/trials/{fit.id}/result"
    place = (tmp_path / f"{artifact}.receipt.json", artifact)
    return Task(STEPS["trial"], "demo", tmp_path, *place, {**values, "code": "0"}, {"sweep_data": data}, 1, "warn")


def metrics_of_evaluation(task: Task) -> dict[str, Any]:
    """Every metric of the evaluation for the model of a trial, on the validation fold."""
    folds = sweep_data.read_folds(task.path("sweep_data"))
    from reco_platform.steps import training

    model = training.fit(task, trial.fold_table(folds, folds.train), training_engine.choose(task.params, 1000)).model
    train, validation = (rating_arrays(trial.fold_table(folds, fold)) for fold in (folds.train, folds.validation))
    values = {**task.params, "diversify": 0.0, "cold_start_strategy": "drop", "evaluation_k": [5]}
    settings = settings_from_params(values, 1, choose_half_life(train, validation, task.params["liked_rating"]))
    found = evaluate(model, None, None, train, validation, genres=folds.genres, settings=settings)
    return dict(found["systems"]["als"])


def test_each_metric_equals_that_of_the_evaluation_with_its_interval(tmp_path: Path) -> None:
    expected = metrics_of_evaluation(task_in(tmp_path))
    assert all(re.match(METRIC, name) for name in expected)
    for name in ("rmse_all", "mae_warm_clipped", "ndcg@5", "genre_diversity@5"):
        last = trial.train_and_score(task_in(tmp_path, sweep_metric=name))["scores"][-1]
        assert {key: last[key] for key in ("value", "low", "high")} == expected[name], name


def test_the_names_that_the_config_allows_are_those_of_the_evaluation(tmp_path: Path) -> None:
    names = [*RATING_METRICS, *(f"{name}@5" for name in RANKING_METRICS)]
    assert all(re.match(METRIC, name) for name in names)
    shown = {*run_page.RATING_METRICS, *run_page.RANKING_METRICS, *run_page.LIST_METRICS}
    assert {*ranking_metrics.NAMES} <= shown, "the page of a run has a title for every metric"
    assert set(names) == set(metrics_of_evaluation(task_in(tmp_path)))


def test_a_score_after_n_iterations_equals_that_of_a_fit_with_max_iter_n(tmp_path: Path) -> None:
    long, short = (trial.train_and_score(task_in(tmp_path, max_iter=most)) for most in (6, 3))
    assert [score["iteration"] for score in long["scores"]] == list(range(1, 7))

    def stable(scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in score.items() if key != "seconds"} for score in scores]

    assert stable(long["scores"][:3]) == stable(short["scores"])
    objective = [score["objective"] for score in long["scores"]]
    assert objective == sorted(objective, reverse=True)


def test_patience_ends_a_fit_that_gets_no_better_and_its_best_iteration_counts(tmp_path: Path) -> None:
    whole = trial.train_and_score(task_in(tmp_path, max_iter=30, reg_param=0.001))["scores"]
    values = [score["value"] for score in whole]
    best = values.index(min(values))
    task = task_in(tmp_path, max_iter=30, reg_param=0.001, patience=2)
    found = trial.train_and_score(task)
    last_iteration = next(n for n in range(2, 31) if min(range(n + 1), key=values.__getitem__) <= n - 2)
    assert len(found["scores"]) == last_iteration + 1 < 30
    result = {"trial": "a", "params": task.values, "seconds": 1.0, **found}
    line = leaderboard.trial_line(result, 30)
    assert line["value"] == min(values[: last_iteration + 1])
    assert line["iteration"] <= len(found["scores"]) and best >= 0


def test_a_catalogue_smaller_than_the_list_length_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="knows only 40 movies"):
        trial.train_and_score(task_in(tmp_path, sweep_metric="ndcg@50"))


# --- trials that fail


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "killed by SIGKILL: most likely the machine was out",
        ),
        ("raise SystemExit(3)", "exited with code 3 and wrote no result"),
    ],
)
def test_a_killed_training_is_a_failed_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "trial.py").write_text(script)
    task = task_in(tmp_path)
    monkeypatch.setattr(project, "ROOT", tmp_path)
    receipt = trial.run_fit(task, [])
    assert receipt.failed and not receipt.is_reusable
    assert said in json.loads((tmp_path / receipt.path).read_text())["error"]
    runner.finish(task, receipt, 0.0)
    assert not list(tmp_path.rglob("_memo/result/*")), "a failed result must not be restored"


@pytest.mark.parametrize(
    ("error", "said"),
    [(MemoryError(), "out of memory"), (DataError("factors that are not finite"), "factors that are not finite")],
)
def test_an_error_in_training_fails_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str
) -> None:
    task = task_in(tmp_path)
    data = tmp_path / "sweeps" / "data.receipt.json"
    data.parent.mkdir(exist_ok=True)
    data.write_text(task.inputs["sweep_data"].text())
    monkeypatch.setenv(trial.OUTPUT, str(tmp_path / "out.json"))
    monkeypatch.setattr(trial, "train_and_score", lambda _: (_ for _ in ()).throw(error))
    words = ["--lakehouse", str(tmp_path), "--receipt", str(task.receipt_path)]
    assert trial.fit([*words, "--sweep-data", str(data)]) == 0
    assert json.loads((tmp_path / "out.json").read_text()) == {"status": "failed", "error": said}


# --- the leaderboard


def result(name: str, values: list[float], **params: Any) -> dict[str, Any]:
    scores = [
        {"iteration": n, "objective": 1 / n, "value": value, "low": value - 0.1, "high": value + 0.1, "seconds": n / 10}
        for n, value in enumerate(values, 1)
    ]
    base = {"rank": 4, "patience": None, "sweep_metric": "rmse_all", "max_iter": len(values), **params}
    return {
        "trial": name, "status": "ok", "params": base, "smaller_is_better": True, "scores": scores,
        "seconds": 1.0, "peak_memory_mb": 200,
    }  # fmt: skip


FAILED = {"trial": "c", "status": "failed", "error": "out of memory", "params": {"rank": 400}, "seconds": 2.0}


def test_trials_are_ranked_and_failed_ones_come_last_with_their_error() -> None:
    results = {"a": result("a", [0.9, 0.8, 0.85]), "b": result("b", [0.82, 0.81, 0.7], rank=8), "c": FAILED}
    cells = [("a", 1), ("a", 2), ("a", 3), ("b", 3), ("c", 3)]
    lines = leaderboard.rank_trials(results, cells)
    assert [(line["place"], line["trial"], line["iteration"]) for line in lines] == [
        (1, "b", 3), (2, "a", 2), (3, "a", 3), (4, "a", 1), (None, "c", None)
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(leaderboard.csv_table(lines, ["rank", "max_iter"]))))
    assert rows[0]["rank"] == "8" and rows[0]["seconds"] == "0.3"
    assert rows[-1]["error"] == "out of memory" and rows[-1]["value"] == ""
    larger = {name: {**one, "smaller_is_better": False} for name, one in results.items() if name != "c"}
    assert leaderboard.rank_trials(larger, cells[:4])[0]["value"] == 0.9
    said = "\n".join(leaderboard.text_lines({"sweep": "s", "metric": "rmse_all", "axes": ["rank"], "trials": lines}, 9))
    assert "0.7000  [0.6000, 0.8000]  rank=8" in said and "failed: out of memory" in said


def test_the_best_is_a_config_file_with_its_data_folds_and_sweep() -> None:
    (line,) = leaderboard.rank_trials({"a": result("a", [0.9, 0.8, 0.85], patience=1, rank=8)}, [("a", 3)])
    params = {key: getattr(Config(), key) for key in STEPS["leaderboard"].keys} | {"split": "random"}
    found = yaml.safe_load(leaderboard.best_config(line, params, "mine", "s", STEPS["interactions"].keys))
    assert found == {"dataset": "mine", "split": "random", "rank": 8, "max_iter": 2, "chosen_by": "s"}
    loaded = load_config(found, {})
    assert (loaded.rank, loaded.max_iter, loaded.chosen_by) == (8, 2, "s")


def test_a_selected_metric_keeps_its_value() -> None:
    from reco_platform.evaluation.user_sums import Metric, UserSums

    sums = UserSums(
        (Metric("a"), Metric("b", root=True)), np.array([[1.0, 4.0], [3.0, 5.0]]), np.array([[1.0], [1.0]]), (0, 0)
    )
    assert metric_values(validation_score.select_metric(sums, "b"))["b"] == metric_values(sums)["b"]


# --- sweeps of the ranking model


def test_an_axis_decides_which_model_is_tuned_and_by_which_metric() -> None:
    rating, ranking = sweep_for(seed="1,2", ranking_model="implicit"), sweep_for(ranking_model="implicit,ease")
    assert (rating.tuned, rating.base.sweep_metric) == (RATING, "rmse_all")
    assert (ranking.tuned, ranking.base.sweep_metric) == (RANKING, "ndcg@10")
    assert sweep_for(ranking_model="implicit,ease", sweep_metric="recall@5").base.sweep_metric == "recall@5"
    assert "sweep_metric=rmse_warm measures predicted ratings" in problem(
        ranking_model="implicit,ease", sweep_metric="rmse_warm"
    )
    assert f"Sweep {ranking.name} of the ranking model: 2 trials" in sweeps.plan_text(ranking, [], None)


@pytest.mark.parametrize("key", RANKING_AXES)
def test_each_key_of_the_ranking_model_can_be_an_axis(key: str) -> None:
    values = {
        "ranking_model": "implicit,ease",
        "positives": "liked,graded",
        "liked_rating": "4,4.5",
        "best_rating": "4,5",
    }
    models = {"ranking_model": "implicit,ease,item_knn", "positives": "weighted"}
    sweep = sweep_for(**{**models, key: values.get(key, "1,2")})
    assert sweep.tuned is RANKING
    assert len(sweep.fits) == len({cell.fit for cell in sweep.cells}) > 1


def test_axes_of_both_models_are_refused_with_a_command_for_each() -> None:
    with pytest.raises(ConfigError, match="a sweep tunes one model") as caught:
        sweep_for(rank="10,50", ranking_rank="32,64", seed=[1, 2], dataset="mine", sweep_name="both")
    assert "rank shapes the rating model and ranking_rank the ranking model" in caught.value.message
    commands = re.findall(r"sweep --config ((?:\w+=[\w,]+ ?)+)", caught.value.hint)
    assert [sorted(command.removesuffix("and then ").split()[:3]) for command in commands] == [
        ["dataset=mine", "rank=10,50", "seed=1,2"],
        ["dataset=mine", "ranking_rank=32,64", "seed=1,2"],
    ]


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"ranking_rank": "32,64", "ranking_model": "explicit"}, "ranking_model=implicit"),
        ({"ease_reg": "1,2", "ranking_model": "implicit"}, "ranking_model=ease"),
        ({"positive_strength": "1,2", "ranking_model": "ease"}, "positives=weighted"),
    ],
)
def test_an_axis_that_shapes_no_trial_is_refused(given: dict[str, Any], needed: str) -> None:
    with pytest.raises(ConfigError, match="has no effect") as caught:
        sweep_for(**given)
    assert needed in caught.value.hint
    few = {"ranking_model": "implicit,ease", "ease_reg": [*range(1, 9)], "sweep_sample": 1}
    assert {len(sweep_for(**few, sweep_seed=seed).fits) for seed in range(9)} == {1}, "a sample may miss a model"


def test_trials_of_models_that_an_axis_does_not_shape_share_a_fit() -> None:
    sweep = sweep_for(ranking_model="ease,implicit,explicit", ranking_rank="32,64")
    assert [fit.params["ranking_model"] for fit in sweep.fits.values()] == ["ease", "implicit", "implicit", "explicit"]
    assert len(sweep.cells) == 6 and len(sweep.trials) == 4
    assert "6 trials (3 ranking_model x 2 ranking_rank), 4 of them different, by 4 fits" in sweeps.plan_text(
        sweep, [], 1
    )
    iterations = sweep_for(ranking_model="ease,implicit", ranking_max_iter="2,5")
    assert [count for _, count in iterations.trials] == [1, 2, 5] and len(iterations.fits) == 2
    assert "for all values of ranking_max_iter" in sweeps.plan_text(iterations, [], 1000)
    assert "2 fits, 6 iterations" in sweeps.plan_text(iterations, [], 1000)
    spark = sweep_for(ranking_model="implicit", ranking_max_iter="2,5", engine="spark-ml")
    assert len(spark.fits) == 2 and "each ranking_max_iter needs its own fit" in sweeps.plan_text(spark, [], None)


def test_in_a_sweep_auto_stands_for_the_models_that_it_chooses_from() -> None:
    def tried(**given: Any) -> list[str]:
        return list(dict.fromkeys(fit.params["ranking_model"] for fit in sweep_for(**given).fits.values()))

    assert tried(positives="liked,graded") == tried(ranking_model=["auto"]) == ["ease", "implicit"]
    assert tried(ranking_rank="32,64") == tried(ranking_rank="32,64", ranking_model="auto") == ["implicit"]
    assert tried(max_items="100,200") == ["ease"]
    assert tried(ease_reg="1,2", ranking_rank="32,64") == ["ease", "implicit"]
    assert tried(ranking_model="popular,auto,ease") == ["popular", "ease", "implicit"]
    assert tried(rank="10,50", ranking_model="auto") == ["explicit"]
    assert "ranking_model=item_knn" in problem(knn_neighbours="10,20")


def test_an_id_does_not_depend_on_the_other_model() -> None:
    ranking, rating = {"ranking_model": ["implicit", "ease"]}, {"reg_param": "0.1,0.2"}
    assert sweep_for(**ranking).fits == sweep_for(**ranking, rank=7, max_iter=3, biased="false").fits
    assert sweep_for(**rating).fits == sweep_for(**rating, ranking_model="implicit", ranking_rank=7).fits
    assert set(sweep_for(**rating).fits) & set(sweep_for(ranking_model=["explicit", "ease"]).fits)


def test_ids_and_names_of_sweeps_of_the_rating_model_are_those_of_earlier_versions() -> None:
    sweep = sweep_for(rank="10,50")
    assert (sweep.name, list(sweep.fits)) == ("715bb577", ["a0c2ce89", "2281738e"])


RANKING_TRIAL = {"ranking_rank": 4, "ranking_max_iter": 4, "positives": "liked", "liked_rating": 4.5}


@pytest.mark.parametrize("name", ["implicit", "ease", "item_knn", "popular"])
def test_a_ranking_models_score_is_that_of_the_evaluation(tmp_path: Path, name: str) -> None:
    task = task_in(tmp_path, ranking_model=[name], sweep_metric="ndcg@5", **RANKING_TRIAL)
    found = trial.train_and_score(task)
    folds = sweep_data.read_folds(task.path("sweep_data"))
    rows = trial.fold_table(folds, folds.train)
    train, validation = (rating_arrays(trial.fold_table(folds, fold)) for fold in (folds.train, folds.validation))
    ranking_model: RankingModel
    if name == "implicit":
        ranking_model = implicit.train(rows, task.params, threads=1, log=lambda _: None).model
    elif name == "popular":
        ranking_model = popular.train(train, task.params)
    else:
        ranking_model = train_item_weights(name, train, task.params, 1)
    rating_model = als_training.train(rows, task.params, threads=1, log=lambda _: None).model
    values = {**task.params, "diversify": 0.0, "cold_start_strategy": "drop", "evaluation_k": [5]}
    settings = settings_from_params(values, 1, choose_half_life(train, validation, task.params["liked_rating"]))
    expected = evaluate(rating_model, None, ranking_model, train, validation, genres=folds.genres, settings=settings)[
        "systems"
    ][name]["ndcg@5"]
    last = found["scores"][-1]
    assert {key: last[key] for key in ("value", "low", "high")} == expected
    assert [score["iteration"] for score in found["scores"]] == ([1, 2, 3, 4] if name == "implicit" else [1])
    assert not found["smaller_is_better"]


def test_patience_ends_a_fit_of_the_ranking_model(tmp_path: Path) -> None:
    task = task_in(tmp_path, ranking_model=["implicit"], patience=1, **{**RANKING_TRIAL, "ranking_max_iter": 60})
    assert len(trial.train_and_score(task)["scores"]) < 60
    assert task_in(tmp_path, ranking_model=["ease"], patience=1).params["patience"] is None


def test_the_best_ranking_model_is_a_config_file_that_gold_accepts(tmp_path: Path) -> None:
    def ranked(name: str, values: list[float], **params: Any) -> dict[str, Any]:
        (fit,) = sweep_for(ranking_model=[name], ranking_rank=64, ranking_max_iter=3, **params).fits.values()
        return {**result(fit.id, values), "params": fit.params, "smaller_is_better": False}

    results = {
        "a": ranked("implicit", [0.1, 0.3, 0.2], patience=2, positive_half_life=30), "b": ranked("ease", [0.25]),
        "c": ranked("explicit", [0.05, 0.04, 0.03]),
    }  # fmt: skip
    lines = leaderboard.rank_trials(
        {name: {**one, "trial": name} for name, one in results.items()}, [("b", 1), ("a", 3), ("c", 2)], RANKING
    )
    assert [line["params"]["ranking_model"] for line in lines] == ["implicit", "ease", "explicit"]
    assert [line["iteration"] for line in lines] == [2, 1, 2]
    shown = {"sweep": "s", "metric": "ndcg@10", "axes": ["ranking_model"], "trials": lines}
    said = "\n".join(leaderboard.text_lines(shown, 9))
    assert "ranking_model=implicit  (iteration 2)" in said and said.endswith("ranking_model=explicit")
    table = leaderboard.csv_table(lines, ["ranking_model", "ranking_rank"])
    assert [row["ranking_rank"] for row in csv.DictReader(io.StringIO(table))] == ["64", "", ""]
    params = {key: getattr(Config(), key) for key in STEPS["leaderboard"].keys}
    best, ease, explicit = (
        load_config(yaml.safe_load(leaderboard.best_config(line, params, "mine", "s", ())), {}) for line in lines
    )
    assert (best.ranking_model, best.ranking_max_iter, best.positive_half_life) == ("implicit", 2, 30)
    assert best.chosen_by == "s"
    assert (ease.ranking_model, explicit.ranking_model, explicit.max_iter) == ("ease", "explicit", 2)


def test_the_best_rating_model_leaves_the_ranking_model_as_it_is(tmp_path: Path) -> None:
    found = trial.train_and_score(task_in(tmp_path))
    (fit,) = sweep_for(rank=4, max_iter=6).fits.values()
    line = leaderboard.trial_line({"trial": fit.id, "params": fit.params, "seconds": 1.0, **found}, 6)
    assert not set(line["params"]) & set(RANKING_AXES)
    assert line["params"]["rank"] == 4
