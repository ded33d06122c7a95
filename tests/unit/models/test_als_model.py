"""Models as Spark stores them: written natively, read back, and loaded by Spark itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from reco_platform.models.als import spark as spark_als
from reco_platform.models.als.model import Model, Side, model_fingerprint, read_model, write_model
from reco_platform.models.als.native import train
from reco_platform.models.als.ratings import ratings

LARGEST_ID = 2**31 - 1


def dense(ids: Any) -> Any:
    return np.unique(ids, return_inverse=True)[1].astype(np.int32)


def trained_example() -> tuple[Model, Any]:
    """A trained model of 40 users and 30 movies, some ids near the largest, and its (user, movie, rating) columns."""
    rng = np.random.default_rng(0)
    user = (LARGEST_ID - 7 * rng.integers(0, 40, 600)).astype(np.int32)
    movie = (LARGEST_ID - 3 * rng.integers(0, 30, 600)).astype(np.int32)
    value = (0.5 * rng.integers(1, 11, 600)).astype(np.float32)
    return trained(user, movie, value, rank=5), (user, movie, value)


def trained(user: Any, movie: Any, value: Any, **settings: Any) -> Model:
    both = ratings(dense(user), dense(movie), value)
    found = train(both, **({"max_iter": 5, "reg_param": 0.1, "seed": 1, "threads": 2} | settings))
    return Model(Side(np.unique(user), found.users), Side(np.unique(movie), found.movies))


def written(model: Model, folder: Path) -> Path:
    folder.mkdir()
    write_model(model, folder)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_written_model_is_read_back(tmp_path: Path) -> None:
    model, _ = trained_example()
    again = read_model(written(model, tmp_path / "model"))
    for side, read in ((model.users, again.users), (model.movies, again.movies)):
        assert np.array_equal(side.ids, read.ids)
        assert np.array_equal(side.factors, read.factors)
    assert again.users.ids[-1] == LARGEST_ID


def test_terms_of_users_and_movies_become_two_columns() -> None:
    model, (user, movie, _) = trained_example()
    b_u, b_i = np.linspace(3, 4, len(model.users.ids)), np.linspace(-1, 1, len(model.movies.ids))
    with_columns = model.with_terms(b_u, b_i)
    assert with_columns.users.factors.shape[1] == with_columns.movies.factors.shape[1] == 5 + 2
    assert with_columns.users.factors.dtype == with_columns.movies.factors.dtype == np.float32
    expected = model.predict(user, movie) + b_u[dense(user)] + b_i[dense(movie)]
    np.testing.assert_allclose(with_columns.predict(user, movie), expected, atol=1e-6)


def test_a_model_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    model, _ = trained_example()
    one, other = written(model, tmp_path / "one"), written(model, tmp_path / "other")
    assert len(content(one)) == 3
    assert content(one) == content(other)
    assert model_fingerprint(one) == model_fingerprint(other)


@pytest.mark.spark
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


@pytest.mark.spark
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
    theirs, _ = spark_als.train(frame, params, tmp_path.as_uri())
    rmse = [
        float(np.sqrt(np.nanmean((model.predict(user[test], movie[test]) - value[test]) ** 2)))
        for model in (*ours, theirs)
    ]
    assert np.mean(rmse[:-1]) == pytest.approx(rmse[-1], abs=0.002)
