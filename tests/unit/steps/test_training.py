"""Training: which ratings count, what biases leave of them, and what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from reco_platform.config.model import Config
from reco_platform.core.errors import ConfigError, DataError, EnvironmentProblemError
from reco_platform.datasets import registry as datasets
from reco_platform.engine.runner import Task
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models import biases
from reco_platform.models.als import engine as als_engine
from reco_platform.models.als import native, training
from reco_platform.models.als import spark as by_spark
from reco_platform.models.als.model import Model, read_model
from reco_platform.models.als.ratings import ratings
from reco_platform.pipeline.steps_table import STEPS, may_stand_for, stands_for
from reco_platform.pipeline.workflow import Workflow
from reco_platform.steps import training as step

INTERACTIONS = Receipt("gold/interactions", "table", "gold/interactions", fingerprint="0123456789abcdef")


def task_in(root: Path, threads: int = 2, **params: Any) -> Task:
    chosen = STEPS["train_als"]
    values = {key: getattr(Config(), key) for key in chosen.keys} | {"rank": 4, "max_iter": 5} | params
    place = (root / "model.receipt.json", "gold/models/als")
    return Task(chosen, "demo", root, *place, values, {"interactions": INTERACTIONS}, threads, "warn")


def rows_of(user: Any, movie: Any, value: Any) -> pa.Table:
    """Rows as training reads them; ids are wide apart."""
    user, movie = np.asarray(user, np.int32), np.asarray(movie, np.int32)
    indexes = [np.unique(ids, return_inverse=True)[1].astype(np.int32) for ids in (user, movie)]
    columns = (7 * user + 3, 5 * movie + 2, *indexes, np.asarray(value, np.float32))
    return pa.table([pa.array(column) for column in columns], names=list(training.COLUMNS))


def drawn(count: int = 2000) -> pa.Table:
    rng = np.random.default_rng(2)
    pairs = np.unique(np.column_stack([rng.integers(0, 90, count), 2 * rng.integers(0, 40, count)]), axis=0)
    return rows_of(*pairs.T, 0.5 * rng.integers(1, 11, len(pairs)))


def arrays(rows: pa.Table, *names: str) -> list[Any]:
    return [rows[name].to_numpy() for name in names]


def published(task: Task, trained: training.Trained, rows: pa.Table) -> tuple[Receipt, Model]:
    receipt = training.publish(
        task, trained, training.data_of(rows), als_engine.shaping(task.params, "native"), "models/{}".format
    )
    return receipt, read_model(task.root / receipt.path)


# --- biased and plain


def test_the_product_of_a_biased_model_is_mean_and_biases_and_factors(tmp_path: Path) -> None:
    rows, task = drawn(), task_in(tmp_path)
    user, movie, value = arrays(rows, "user_index", "movie_index", "rating")
    found = biases.fit(user, movie, value, task.params["bias_damping"])
    rest = training.natively(task, rows.set_column(4, "rating", pa.array(found.residuals(user, movie, value))))
    trained = training.on_residuals(task, rows, training.natively)
    pairs = arrays(rows, "user_id", "movie_id")
    expected = found.predict(user, movie) + rest.model.predict(*pairs)
    np.testing.assert_allclose(trained.model.predict(*pairs), expected, atol=1e-6)
    assert trained.model.users.factors.shape[1] == 4 + 2
    assert trained.objective == rest.objective


def test_a_plain_model_has_the_factors_of_the_ratings_alone(tmp_path: Path) -> None:
    rows, task = drawn(), task_in(tmp_path, biased=False)
    both = ratings(*arrays(rows, "user_index", "movie_index", "rating"))
    factors = native.train(both, rank=4, max_iter=5, reg_param=0.1, seed=42, threads=1)
    model = training.natively(task, rows).model
    assert np.array_equal(model.users.factors, factors.users)
    assert np.array_equal(model.movies.factors, factors.movies)
    assert np.array_equal(model.movies.ids, np.unique(arrays(rows, "movie_id")[0]))


def test_real_ratings_are_predicted_best_by_both_and_worst_by_plain_als(latest_small: Path, tmp_path: Path) -> None:
    table = csv.read_csv(latest_small / "ratings.csv")
    test = np.random.default_rng(0).random(len(table)) < 0.2
    every = rows_of(*arrays(table, "userId", "movieId", "rating"))
    train, held_out = every.filter(pa.array(~test)), every.filter(pa.array(test))
    task = task_in(tmp_path, rank=50, max_iter=10)
    plain = training.natively(task, train).model.predict(*arrays(held_out, "user_id", "movie_id"))
    biased = training.on_residuals(task, train, training.natively).model.predict(
        *arrays(held_out, "user_id", "movie_id")
    )
    alone = biases.fit(*arrays(train, "user_index", "movie_index", "rating"), task.params["bias_damping"]).predict(
        *arrays(held_out, "user_index", "movie_index")
    )
    warm, truth = ~np.isnan(plain), held_out["rating"].to_numpy()
    assert np.array_equal(warm, ~np.isnan(biased))
    rmse = {
        name: float(np.sqrt(np.mean((np.clip(predicted[warm], 0.5, 5) - truth[warm]) ** 2)))
        for name, predicted in (("plain", plain), ("alone", alone), ("biased", biased))
    }
    assert rmse["biased"] + 0.01 < rmse["alone"] < rmse["plain"] - 0.01, rmse
    assert 0.83 < rmse["biased"] < 0.86 < rmse["plain"] < 0.92, rmse


# --- which ratings count


def test_users_and_movies_with_few_ratings_are_left_out_in_one_pass() -> None:
    # Ratings: users have 3, 2, 1, 2; movies have 4, 3, 1. User 1 is kept with 2 ratings though one goes with movie 2.
    rows = rows_of([0, 0, 0, 1, 1, 2, 3, 3], [0, 1, 3, 0, 1, 0, 0, 1], [4.0] * 8)
    kept = training.supported(rows, 2, 2)
    assert list(zip(*arrays(kept, "user_index", "movie_index"), strict=True)) == [
        (0, 0), (0, 1), (1, 0), (1, 1), (3, 0), (3, 1)
    ]  # fmt: skip
    rows = rows_of([0, 0, 1, 1, 2], [0, 1, 1, 2, 1], [4.0] * 5)
    kept = training.supported(rows, 2, 2)
    assert arrays(kept, "user_index", "movie_index")[0].tolist() == [0, 1]  # each is left with a single rating
    assert training.supported(rows, 1, 1) is rows


def test_whoever_is_left_out_is_not_in_the_model(tmp_path: Path) -> None:
    rows, task = drawn(300), task_in(tmp_path, min_user_ratings=3, min_item_ratings=9)
    kept = training.supported(rows, 3, 9)
    model = training.on_residuals(task, kept, training.natively).model
    assert 0 < len(kept) < len(rows)
    for side, name in ((model.users, "user_id"), (model.movies, "movie_id")):
        assert np.array_equal(side.ids, np.unique(kept[name].to_numpy()))


def test_it_is_an_error_when_nothing_is_left() -> None:
    with pytest.raises(DataError, match=r"none of 8 .*min_user_ratings=1 .*\n?.*min_item_ratings=9.*\n.*smaller"):
        training.supported(rows_of(range(8), [0] * 8, [3.0] * 8), 1, 9)


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
        assert {stands_for(name, one.config) for one in (usual, plain, all_of_it)} == set(may_stand_for(name))


def test_a_refit_model_has_a_version_of_its_own(tmp_path: Path) -> None:
    rows, task = drawn(), task_in(tmp_path)
    shaping = als_engine.shaping(task.params, "native")
    trained = training.natively(task, rows)
    versions = {
        training.publish(task, trained, training.data_of(rows), trial, "models/{}".format).facts["model_version"]
        for trial in (shaping, shaping | {"refit": True})
    }
    assert len(versions) == 2
    assert {version.partition("-")[2] for version in versions} == {"01234567"}


# --- what is published


def test_a_receipt_tells_of_the_model(tmp_path: Path) -> None:
    rows, task = drawn(), task_in(tmp_path)
    receipt, model = published(task, training.on_residuals(task, rows, training.natively), rows)
    facts = receipt.facts
    assert facts["model_version"] == Path(receipt.path).name
    assert (facts["biased"], facts["rank"], facts["width"]) == (True, 4, 6)
    assert facts["mean"] == pytest.approx(np.mean(rows["rating"].to_numpy()))
    assert (facts["users"], facts["movies"], facts["ratings"]) == (90, 40, len(rows))
    assert len(facts["objective"]) == 5
    assert facts["objective"] == sorted(facts["objective"], reverse=True)
    assert model.users.factors.shape == (90, 6)


def test_a_receipt_is_the_same_for_any_number_of_threads(tmp_path: Path) -> None:
    rows, texts = drawn(), set()
    for threads in (1, 2, 3):
        task = task_in(tmp_path / str(threads), threads)
        texts.add(published(task, training.on_residuals(task, rows, training.natively), rows)[0].text())
    assert len(texts) == 1


def test_the_damping_shapes_only_a_biased_model() -> None:
    params = {key: getattr(Config(), key) for key in STEPS["train_als"].keys}
    biased, plain = (als_engine.shaping(params | {"biased": wanted}, "native") for wanted in (True, False))
    assert biased["bias_damping"] == 5.0
    assert plain == {key: value for key, value in biased.items() if key != "bias_damping"} | {"biased": False}
    assert "solver" not in als_engine.shaping(params, "spark-ml") and "num_blocks" not in biased


def test_nonnegative_factors_by_the_native_engine_are_refused(tmp_path: Path) -> None:
    params = {"biased": False, "nonnegative": True}
    with pytest.raises(ConfigError, match="nonnegative"):
        step.chosen(task_in(tmp_path, engine="native", **params))
    assert step.chosen(task_in(tmp_path, engine="auto", **params)).engine == "spark-ml"


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
    rows, params = drawn(), task_in(tmp_path, **least).params
    one, other = (by_spark.terms_of(ratings_frame(spark, rows, parts), params) for parts in (1, 5))
    assert one.data == other.data
    assert one.users.equals(other.users) and one.movies.equals(other.movies)
    kept = training.supported(rows, least_of_user, least_of_movie)
    assert (len(kept) < len(rows)) == (least_of_user > 1)
    assert one.data.ratings == len(kept)
    found = biases.fit(*arrays(kept, "user_index", "movie_index", "rating"), params["bias_damping"])
    assert one.mean == pytest.approx(found.mean, abs=1e-12)
    for table, expected, index in ((one.users, found.users, "user_index"), (one.movies, found.movies, "movie_index")):
        present = training.present(kept[index].to_numpy())
        np.testing.assert_allclose(table.column(1).to_numpy(), expected[present], atol=1e-8)


@pytest.mark.spark
def test_pyspark_ml_trains_on_residuals_too(spark: Any, tmp_path: Path) -> None:
    rows = drawn()
    task = task_in(tmp_path, engine="spark-ml", rank=2, max_iter=3)
    whole = step.fit(task, rows, step.chosen(task)).model
    found = biases.fit(*arrays(rows, "user_index", "movie_index", "rating"), task.params["bias_damping"])
    left = rows.set_column(4, "rating", pa.array(found.residuals(*arrays(rows, "user_index", "movie_index", "rating"))))
    plain = task_in(tmp_path, engine="spark-ml", rank=2, max_iter=3, biased=False)
    rest = step.fit(plain, left, step.chosen(plain)).model
    pairs = arrays(rows, "user_id", "movie_id")
    expected = found.predict(*arrays(rows, "user_index", "movie_index")) + rest.predict(*pairs)
    np.testing.assert_allclose(whole.predict(*pairs), expected, atol=1e-5)
    assert not list(tmp_path.rglob("_staging*"))


@pytest.mark.spark
def test_ratings_that_an_executor_could_not_hold_are_refused_before_they_are_read(spark: Any) -> None:
    by_spark.check_memory(spark, 10_000_000)
    with pytest.raises(
        EnvironmentProblemError, match=r"20,000,000 ratings need .* driver_memory is 1,024 MB"
    ) as caught:
        by_spark.check_memory(spark, 20_000_000)
    assert "driver_memory=1521m" in str(caught.value)
