"""ALS training: minimum numbers of ratings, residuals of the biases, and parameters that shape a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from reco_platform.config.model import Config
from reco_platform.core.errors import DataError
from reco_platform.models import biases
from reco_platform.models.als import native, training, training_engine
from reco_platform.models.als.ratings import ratings
from support.rating_rows import columns_of, random_rows, rating_rows


def params_with(**params: Any) -> dict[str, Any]:
    return Config().model_dump() | {"rank": 4, "max_iter": 5} | params


def train(rows: pa.Table, params: dict[str, Any]) -> training.TrainedModel:
    return training.train(rows, params, threads=2, log=lambda line: None)


# --- with and without biases


def test_a_biased_models_predictions_are_mean_plus_biases_plus_factors() -> None:
    rows, params = random_rows(), params_with()
    user, movie, value = columns_of(rows, "user_index", "movie_index", "rating")
    found = biases.fit(user, movie, value, params["bias_damping"])
    residuals = pa.array(found.residuals(user, movie, value))
    rest = train(rows.set_column(4, "rating", residuals), params | {"biased": False})
    trained = train(rows, params)
    pairs = columns_of(rows, "user_id", "movie_id")
    expected = found.predict(user, movie) + rest.model.predict(*pairs)
    np.testing.assert_allclose(trained.model.predict(*pairs), expected, atol=1e-6)
    assert trained.model.users.factors.shape[1] == 4 + 2
    assert trained.objective == rest.objective


def test_a_plain_model_has_the_factors_of_the_ratings_alone() -> None:
    rows, params = random_rows(), params_with(biased=False)
    both = ratings(*columns_of(rows, "user_index", "movie_index", "rating"))
    factors = native.train(both, rank=4, max_iter=5, reg_param=0.1, seed=42, threads=1)
    model = train(rows, params).model
    assert np.array_equal(model.users.factors, factors.users)
    assert np.array_equal(model.movies.factors, factors.movies)
    assert np.array_equal(model.movies.ids, np.unique(columns_of(rows, "movie_id")[0]))


def test_on_real_ratings_biased_als_is_best_and_plain_als_worst(latest_small: Path) -> None:
    table = csv.read_csv(latest_small / "ratings.csv")
    test = np.random.default_rng(0).random(len(table)) < 0.2
    every = rating_rows(*columns_of(table, "userId", "movieId", "rating"))
    fitted_on, held_out = every.filter(pa.array(~test)), every.filter(pa.array(test))
    params = params_with(rank=50, max_iter=10)
    plain = train(fitted_on, params | {"biased": False}).model.predict(*columns_of(held_out, "user_id", "movie_id"))
    biased = train(fitted_on, params).model.predict(*columns_of(held_out, "user_id", "movie_id"))
    alone = biases.fit(*columns_of(fitted_on, "user_index", "movie_index", "rating"), params["bias_damping"]).predict(
        *columns_of(held_out, "user_index", "movie_index")
    )
    warm, truth = ~np.isnan(plain), held_out["rating"].to_numpy()
    assert np.array_equal(warm, ~np.isnan(biased))
    rmse = {
        name: float(np.sqrt(np.mean((np.clip(predicted[warm], 0.5, 5) - truth[warm]) ** 2)))
        for name, predicted in (("plain", plain), ("alone", alone), ("biased", biased))
    }
    assert rmse["biased"] + 0.01 < rmse["alone"] < rmse["plain"] - 0.01, rmse
    assert 0.83 < rmse["biased"] < 0.86 < rmse["plain"] < 0.92, rmse


# --- minimum numbers of ratings


def test_users_and_movies_with_few_ratings_are_left_out_in_one_pass() -> None:
    # Ratings: users have 3, 2, 1, 2; movies have 4, 3, 1. User 1 is kept with 2 ratings though one goes with movie 2.
    rows = rating_rows([0, 0, 0, 1, 1, 2, 3, 3], [0, 1, 3, 0, 1, 0, 0, 1], [4.0] * 8)
    kept = training.with_enough_ratings(rows, 2, 2)
    assert list(zip(*columns_of(kept, "user_index", "movie_index"), strict=True)) == [
        (0, 0), (0, 1), (1, 0), (1, 1), (3, 0), (3, 1)
    ]  # fmt: skip
    rows = rating_rows([0, 0, 1, 1, 2], [0, 1, 1, 2, 1], [4.0] * 5)
    kept = training.with_enough_ratings(rows, 2, 2)
    assert columns_of(kept, "user_index", "movie_index")[0].tolist() == [0, 1]  # each is left with a single rating
    assert training.with_enough_ratings(rows, 1, 1) is rows


def test_users_and_movies_left_out_are_not_in_the_model() -> None:
    rows = random_rows(300)
    kept = training.with_enough_ratings(rows, 3, 9)
    model = train(kept, params_with()).model
    assert 0 < len(kept) < len(rows)
    for side, name in ((model.users, "user_id"), (model.movies, "movie_id")):
        assert np.array_equal(side.ids, np.unique(kept[name].to_numpy()))


def test_too_few_ratings_are_an_error() -> None:
    with pytest.raises(DataError, match=r"none of the 8 .*min_user_ratings=1 .*\n?.*min_item_ratings=9.*\n.*smaller"):
        training.with_enough_ratings(rating_rows(range(8), [0] * 8, [3.0] * 8), 1, 9)


# --- which parameters shape a model


def test_the_damping_shapes_only_a_biased_model() -> None:
    params = Config().model_dump()
    biased, plain = (training_engine.shaping_params(params | {"biased": wanted}, "native") for wanted in (True, False))
    assert biased["bias_damping"] == 5.0
    assert plain == {key: value for key, value in biased.items() if key != "bias_damping"} | {"biased": False}
    assert "solver" not in training_engine.shaping_params(params, "spark-ml") and "num_blocks" not in biased
