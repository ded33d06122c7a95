"""ALS by Spark: models that Spark loads, training by pyspark.ml, and what executors can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from reco_platform.config.model import Config
from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.models import biases
from reco_platform.models.als import spark as als_spark
from reco_platform.models.als import training
from reco_platform.models.ranking.positives import positives
from reco_platform.spark.user_errors import setting_error
from reco_platform.splits.interactions import microseconds
from reco_platform.steps import training as step
from support.example_models import trained, trained_example, written
from support.rating_rows import columns_of, random_rows
from support.training_tasks import task_in

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("biased", [False, True])
def test_spark_loads_and_uses_a_native_model(spark: Any, tmp_path: Path, biased: bool) -> None:
    from pyspark.ml.recommendation import ALSModel

    model, (user, movie, value) = trained_example()
    if biased:
        model = model.with_terms(np.linspace(3, 4, len(model.users.ids)), np.linspace(-1, 1, len(model.movies.ids)))
    loaded = ALSModel.load(str(written(model, tmp_path / "model")))
    assert loaded.rank == model.users.factors.shape[1]
    rows = [*zip(user.tolist(), movie.tolist(), value.tolist(), strict=True), (1, 1, 3.0)]
    pairs = spark.createDataFrame(rows, "user_id int, movie_id int, rating float")
    predicted = loaded.transform(pairs).toPandas()
    assert len(predicted) == len(user)  # coldStartStrategy=drop leaves out the pair that nobody knows
    ours = model.predict(predicted["user_id"].to_numpy(), predicted["movie_id"].to_numpy())
    np.testing.assert_allclose(predicted["prediction"].to_numpy(), ours, rtol=1e-5, atol=1e-5)
    best = {row.user_id: row.recommendations for row in loaded.recommendForAllUsers(3).collect()}
    scores = model.users.factors @ model.movies.factors.T
    for at, own in enumerate(model.users.ids.tolist()):
        assert [movie.rating for movie in best[own]] == pytest.approx(np.sort(scores[at])[::-1][:3], abs=1e-4)


def test_native_training_predicts_as_well_as_sparks(spark: Any, latest_small: Path, tmp_path: Path) -> None:
    table = csv.read_csv(latest_small / "ratings.csv")
    user, movie = (table[name].to_numpy().astype(np.int32) for name in ("userId", "movieId"))
    value = table["rating"].to_numpy().astype(np.float32)
    test = np.random.default_rng(0).random(len(table)) < 0.2
    settings = {"rank": 10, "max_iter": 10, "reg_param": 0.2}
    # Seeds differ by about 0.001 in RMSE, so several of ours are averaged.
    ours = [trained(user[~test], movie[~test], value[~test], **settings | {"seed": seed}) for seed in range(5)]
    rows = pa.table({"user_id": user, "movie_id": movie, "rating": value}).filter(pa.array(~test))
    plain = {"nonnegative": False, "biased": False, "bias_damping": 0, "min_user_ratings": 1, "min_item_ratings": 1}
    frame, params = spark.createDataFrame(rows), settings | plain | {"seed": 42, "num_blocks": 2}
    theirs, _ = als_spark.train(frame, params, tmp_path.as_uri())
    rmse = [
        float(np.sqrt(np.nanmean((model.predict(user[test], movie[test]) - value[test]) ** 2)))
        for model in (*ours, theirs)
    ]
    assert np.mean(rmse[:-1]) == pytest.approx(rmse[-1], abs=0.002)


def ratings_frame(spark: Any, rows: pa.Table, partitions: int) -> Any:
    """The ratings in another order each time, over so many partitions."""
    order = np.random.default_rng(partitions).permutation(len(rows))
    columns = rows.select(["user_id", "movie_id", "rating"]).take(pa.array(order))
    return spark.createDataFrame(columns).repartition(partitions)


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


def test_ratings_that_an_executor_could_not_hold_are_refused_before_they_are_read(spark: Any) -> None:
    als_spark.check_memory(spark, 10_000_000)
    with pytest.raises(
        EnvironmentProblemError, match=r"20,000,000 ratings need .* driver_memory is 1,024 MB"
    ) as caught:
        als_spark.check_memory(spark, 20_000_000)
    assert "driver_memory=1521m" in str(caught.value)


# --- implicit feedback


def tastes_of_two_groups() -> pa.Table:
    """100 users of two groups, each with 10 of the 20 movies of the group, rated 0.5 to 5 on days 0 to 99."""
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(1, 101, dtype=np.int32), 10)
    movie = np.concatenate([rng.permutation(20)[:10] + 1 + 20 * (one >= 50) for one in range(100)]).astype(np.int32)
    moments = pa.array(rng.integers(0, 100, 1000) * 86_400_000_000).cast(pa.timestamp("us", "UTC"))
    rating = rng.integers(6, 11, 1000).astype(np.float32) / 2
    return pa.table({"user_id": user, "movie_id": movie, "rating": rating, "rating_ts": moments})


@pytest.mark.parametrize("half_life", [None, 5.0])
@pytest.mark.parametrize("kind", ["all", "liked", "graded", "weighted"])
def test_spark_gives_each_positive_the_strength_of_the_native_engine(
    spark: Any, kind: str, half_life: float | None
) -> None:
    rows = tastes_of_two_groups()
    params = Config().model_dump() | {"positives": kind, "positive_half_life": half_life, "disliked_rating": 3.5}
    found = als_spark.strengths(spark.createDataFrame(rows), params).toPandas()
    counted = positives(rows["rating"].to_numpy(), microseconds(rows["rating_ts"]), params)
    kept = rows.filter(pa.array(counted.kept)).select(["user_id", "movie_id"]).to_pandas()
    expected = kept.assign(strength=counted.strengths).query("strength > 0")
    both = found.merge(expected, on=["user_id", "movie_id"])
    assert len(both) == len(found) == len(expected) > 0
    np.testing.assert_allclose(both["rating"], both["strength"], rtol=1e-5)


def test_implicit_training_by_spark_finds_tastes_whatever_the_order_of_the_rows(spark: Any, tmp_path: Path) -> None:
    rows = tastes_of_two_groups()
    params = Config().model_dump() | {"ranking_rank": 4, "ranking_max_iter": 10, "positives": "all"}
    models = [
        als_spark.train_implicit(spark.createDataFrame(rows).repartition(parts), params, tmp_path.as_uri())
        for parts in (1, 3)
    ]
    (model, stats), (_, same_stats) = models
    assert stats == same_stats == training.training_stats(rows)
    scores = model.users.factors @ model.movies.factors.T
    assert scores[:50, :20].mean() > 5 * abs(scores[:50, 20:].mean())
    assert scores[50:, 20:].mean() > 5 * abs(scores[50:, :20].mean())


@pytest.mark.parametrize("nonnegative", [False, True])
def test_without_regularisation_pyspark_ml_trains_or_the_error_names_the_setting(
    spark: Any, tmp_path: Path, nonnegative: bool
) -> None:
    """A user with fewer ratings than factors has a singular matrix, at which Cholesky's method stops."""
    rows = pa.table({"user_id": [1, 1, 2], "movie_id": [1, 2, 1], "rating": pa.array([4.0, 3.0, 5.0], pa.float32())})
    params = Config(rank=5, max_iter=2, reg_param=0, biased=False, nonnegative=nonnegative).model_dump()
    try:
        als_spark.train(spark.createDataFrame(rows), params, tmp_path.as_uri())
    except Exception as error:
        found = setting_error(error)
        assert found is not None
        assert "reg_param above 0" in (found.hint or "")
    else:
        assert nonnegative
