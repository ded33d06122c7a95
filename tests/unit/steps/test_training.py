"""The training steps: which models a run has, what their receipts say, and training by Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reco_platform.config.model import Config
from reco_platform.core.errors import ConfigError, EnvironmentProblemError
from reco_platform.datasets import registry as datasets
from reco_platform.engine.task import Task
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models import biases
from reco_platform.models.als import spark as als_spark
from reco_platform.models.als import training, training_engine
from reco_platform.models.als.model import Model, read_model
from reco_platform.pipeline.steps_table import STEPS, possible_inputs, resolve_input
from reco_platform.pipeline.workflow import Workflow
from reco_platform.steps import training as step
from reco_platform.steps.model_artifact import publish_model
from support.rating_rows import columns_of, random_rows

INTERACTIONS = Receipt("gold/interactions", "table", "gold/interactions", fingerprint="0123456789abcdef")


def task_in(root: Path, threads: int = 2, **params: Any) -> Task:
    chosen = STEPS["train_als"]
    values = {key: getattr(Config(), key) for key in chosen.keys} | {"rank": 4, "max_iter": 5} | params
    place = (root / "model.receipt.json", "gold/models/als")
    return Task(chosen, "demo", root, *place, values, {"interactions": INTERACTIONS}, threads, "warn")


def train(task: Task, rows: pa.Table) -> training.TrainedModel:
    return training.train(rows, task.params, threads=task.threads, log=task.log)


def published(task: Task, trained: training.TrainedModel, rows: pa.Table) -> tuple[Receipt, Model]:
    receipt = publish_model(
        task, trained, training.training_stats(rows), training_engine.shaping_params(task.params, "native")
    )
    return receipt, read_model(task.root / receipt.path)


# --- which models a run has


def test_config_decides_which_models_are_made_and_which_one_serves() -> None:
    dataset = datasets.DirectoryDataset(name="mine", path=Path("data"))

    def flow(**config: Any) -> Workflow:
        return Workflow(Config(**config), Lakehouse("lake", "mine"), dataset)

    usual, plain, all_of_it = flow(), flow(biased=False), flow(refit=True, fallback_lists=True)
    assert set(usual.gold) - set(plain.gold) == {"als_plain"}
    assert set(all_of_it.gold) - set(usual.gold) == {"als_refit", "fallback"}
    assert usual.receipt("served_model") == usual.receipt("model") == plain.receipt("plain_model")
    assert all_of_it.receipt("served_model") == "lake/gold/models/als_refit.receipt.json"
    assert usual.receipt("plain_model") == "lake/gold/baselines/als_plain.receipt.json"
    for name in ("served_model", "plain_model"):
        assert {resolve_input(name, one.config) for one in (usual, plain, all_of_it)} == set(possible_inputs(name))


def test_a_refit_model_has_a_version_of_its_own(tmp_path: Path) -> None:
    rows, task = random_rows(), task_in(tmp_path)
    shaping = training_engine.shaping_params(task.params, "native")
    trained = train(task, rows)
    versions = {
        publish_model(task, trained, training.training_stats(rows), trial).facts["model_version"]
        for trial in (shaping, shaping | {"refit": True})
    }
    assert len(versions) == 2
    assert {version.partition("-")[2] for version in versions} == {"01234567"}


# --- what is published


def test_a_receipt_tells_of_the_model(tmp_path: Path) -> None:
    rows, task = random_rows(), task_in(tmp_path)
    receipt, model = published(task, train(task, rows), rows)
    facts = receipt.facts
    assert facts["model_version"] == Path(receipt.path).name
    assert (facts["biased"], facts["rank"], facts["width"]) == (True, 4, 6)
    assert facts["mean"] == pytest.approx(np.mean(rows["rating"].to_numpy()))
    assert (facts["users"], facts["movies"], facts["ratings"]) == (90, 40, len(rows))
    assert len(facts["objective"]) == 5
    assert facts["objective"] == sorted(facts["objective"], reverse=True)
    assert model.users.factors.shape == (90, 6)


def test_a_receipt_is_the_same_for_any_number_of_threads(tmp_path: Path) -> None:
    rows, texts = random_rows(), set()
    for threads in (1, 2, 3):
        task = task_in(tmp_path / str(threads), threads)
        texts.add(published(task, train(task, rows), rows)[0].text())
    assert len(texts) == 1


def test_nonnegative_factors_by_the_native_engine_are_refused(tmp_path: Path) -> None:
    params = {"biased": False, "nonnegative": True}
    with pytest.raises(ConfigError, match="nonnegative"):
        step.chosen_engine(task_in(tmp_path, engine="native", **params))
    assert step.chosen_engine(task_in(tmp_path, engine="auto", **params)).engine == "spark-ml"


def ratings_frame(spark: Any, rows: pa.Table, partitions: int) -> Any:
    """The ratings in another order each time, over so many partitions."""
    order = np.random.default_rng(partitions).permutation(len(rows))
    columns = rows.select(["user_id", "movie_id", "rating"]).take(pa.array(order))
    return spark.createDataFrame(columns).repartition(partitions)


@pytest.mark.spark
@pytest.mark.parametrize(("least_of_user", "least_of_movie"), [(1, 1), (20, 40)])
def test_the_biases_that_spark_sums_do_not_depend_on_any_order(
    spark: Any, tmp_path: Path, least_of_user: int, least_of_movie: int
) -> None:
    least = {"min_user_ratings": least_of_user, "min_item_ratings": least_of_movie}
    rows, params = random_rows(), task_in(tmp_path, **least).params
    one, other = (als_spark.fit_biases(ratings_frame(spark, rows, parts), params) for parts in (1, 5))
    assert one.stats == other.stats
    assert one.users.equals(other.users) and one.movies.equals(other.movies)
    kept = training.with_enough_ratings(rows, least_of_user, least_of_movie)
    assert (len(kept) < len(rows)) == (least_of_user > 1)
    assert one.stats.ratings == len(kept)
    found = biases.fit(*columns_of(kept, "user_index", "movie_index", "rating"), params["bias_damping"])
    assert one.mean == pytest.approx(found.mean, abs=1e-12)
    for table, expected, index in ((one.users, found.users, "user_index"), (one.movies, found.movies, "movie_index")):
        present = training.present(kept[index].to_numpy())
        np.testing.assert_allclose(table.column(1).to_numpy(), expected[present], atol=1e-8)


@pytest.mark.spark
def test_pyspark_ml_trains_on_residuals_too(spark: Any, tmp_path: Path) -> None:
    rows = random_rows()
    task = task_in(tmp_path, engine="spark-ml", rank=2, max_iter=3)
    whole = step.fit(task, rows, step.chosen_engine(task)).model
    found = biases.fit(*columns_of(rows, "user_index", "movie_index", "rating"), task.params["bias_damping"])
    left = rows.set_column(
        4, "rating", pa.array(found.residuals(*columns_of(rows, "user_index", "movie_index", "rating")))
    )
    plain = task_in(tmp_path, engine="spark-ml", rank=2, max_iter=3, biased=False)
    rest = step.fit(plain, left, step.chosen_engine(plain)).model
    pairs = columns_of(rows, "user_id", "movie_id")
    expected = found.predict(*columns_of(rows, "user_index", "movie_index")) + rest.predict(*pairs)
    np.testing.assert_allclose(whole.predict(*pairs), expected, atol=1e-5)
    assert not list(tmp_path.rglob("_staging*"))


@pytest.mark.spark
def test_ratings_that_an_executor_could_not_hold_are_refused_before_they_are_read(spark: Any) -> None:
    als_spark.check_memory(spark, 10_000_000)
    with pytest.raises(
        EnvironmentProblemError, match=r"20,000,000 ratings need .* driver_memory is 1,024 MB"
    ) as caught:
        als_spark.check_memory(spark, 20_000_000)
    assert "driver_memory=1521m" in str(caught.value)
