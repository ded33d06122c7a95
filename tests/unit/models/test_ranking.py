"""Ranking models: what counts as a positive, weights between movies against plain numpy, and lists of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from reco_platform.config.load import load_config
from reco_platform.core.arrays import Float32Array, Int32Array, Int64Array
from reco_platform.core.errors import ConfigError, DataError
from reco_platform.models.als.model import Model, Side, model_fingerprint, write_model
from reco_platform.models.ranking import ease, implicit, item_knn, item_weights, models, popular, shaping
from reco_platform.models.ranking.positives import positives
from reco_platform.models.ranking.shaping import choose_engine, choose_kind, shaping_params

Doubles = npt.NDArray[np.float64]

DAY = 24 * 60 * 60 * 1_000_000
PARAMS: dict[str, Any] = load_config({"ranking_rank": 8, "ranking_max_iter": 5, "max_items": 1000}, {}).model_dump()


@dataclass(frozen=True)
class Rows:
    users: Int32Array
    movies: Int32Array
    ratings: Float32Array
    moments: Int64Array


def random_rows(users: int = 60, movies: int = 40, count: int = 900, seed: int = 0) -> Rows:
    """Distinct pairs; ids are 10, 20, ... for users and 5, 10, ... for movies."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(
        np.stack([rng.integers(1, users + 1, count), 1 + (movies * rng.random(count) ** 2)]).astype(int), axis=1
    )
    ratings = rng.integers(1, 11, pairs.shape[1]).astype(np.float32) / 2
    moments = rng.integers(0, 1000, pairs.shape[1]) * DAY
    return Rows((10 * pairs[0]).astype(np.int32), (5 * pairs[1]).astype(np.int32), ratings, moments)


def matrix(rows: Rows, users: Int32Array, movies: Int32Array, params: dict[str, Any]) -> Doubles:
    """Strengths as a dense matrix, by a loop over the definition."""
    found = np.zeros((len(users), len(movies)))
    counted = positives(rows.ratings, rows.moments, params)
    strength = iter(counted.strengths.tolist())
    for user, movie, kept in zip(rows.users, rows.movies, counted.kept, strict=True):
        value = next(strength) if kept else 0.0
        if user in users and movie in movies:
            found[np.searchsorted(users, user), np.searchsorted(movies, movie)] = value
    return found


# --- positives


def test_positives_are_as_defined() -> None:
    ratings = np.array([0.5, 2.5, 3.0, 4.0, 5.0], np.float32)
    moments = np.array([0, 90, 95, 100, 100]) * DAY

    def of(**params: Any) -> tuple[list[bool], Any, Any]:
        found = positives(ratings, moments, PARAMS | params)
        return (
            found.kept.tolist(),
            None if found.values is None else [round(value, 4) for value in found.values.tolist()],
            None if found.weights is None else [float(f"{weight:.4g}") for weight in found.weights.tolist()],
        )

    every = [True] * 5
    assert of(positives="all") == (every, None, None)
    assert of(positives="liked") == ([False, False, False, True, True], None, None)
    assert of(positives="graded") == (every, [0, 0, 0.2, 0.6, 1], None)
    assert of(positives="graded", best_rating=4.0, disliked_rating=3.0) == (every, [0, 0, 0, 1, 1], None)
    assert of(positives="weighted") == (every, None, [1, 2.778, 3.222, 4.111, 5])
    assert of(positives="all", positive_half_life=5)[2] == [1e-6, 0.25, 0.5, 1, 1]
    assert of(positives="liked", positive_half_life=5)[2] == [1, 1]


@pytest.mark.parametrize("kind", ["liked", "graded"])
def test_data_without_positives_are_refused_with_what_to_set(kind: str) -> None:
    with pytest.raises(DataError, match="none of the 3 training ratings") as raised:
        positives(np.full(3, 2, np.float32), np.zeros(3, np.int64), PARAMS | {"positives": kind})
    assert "--config" in str(raised.value)


# --- weights between movies


def expected_ease(x: Doubles, reg: float) -> Doubles:
    inverse = np.linalg.inv(x.T @ x + reg * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def expected_knn(x: Doubles, neighbours: int, shrink: float) -> Doubles:
    gram = x.T @ x
    found = np.zeros_like(gram)
    for movie in range(len(gram)):
        similarity = gram[:, movie] / (np.sqrt(np.diag(gram) * gram[movie, movie]) + shrink)
        similarity[movie] = 0
        nearest = sorted(range(len(gram)), key=lambda other: (-np.float32(similarity[other]), other))[:neighbours]
        found[nearest, movie] = similarity[nearest]
    return found


@pytest.mark.parametrize("positive", ["all", "liked", "graded", "weighted"])
@pytest.mark.parametrize("threads", [1, 3])
def test_weights_are_those_of_their_formulas(positive: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_weights, "TASK_ITEMS", 7)
    rows = random_rows()
    params = PARAMS | {"positives": positive, "ease_reg": 3.0, "knn_neighbours": 6, "knn_shrink": 2.0}
    for kind in models.ITEM_WEIGHTS:
        found = models.train_item_weights(kind, rows, params, threads)
        x = matrix(rows, np.unique(rows.users), found.movies.ids, params)
        expected = expected_ease(x, 3.0) if kind == "ease" else expected_knn(x, 6, 2.0)
        np.testing.assert_allclose(found.weights, expected, atol=1e-5)


def test_only_the_most_rated_movies_are_known() -> None:
    rows = random_rows()
    found = models.train_item_weights("ease", rows, PARAMS | {"positives": "all", "max_items": 5}, 1)
    ids, counts = np.unique(rows.movies, return_counts=True)
    assert set(found.movies.ids.tolist()) == set(ids[np.lexsort([ids, -counts])[:5]].tolist())


def test_data_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_weights, "MAX_PRODUCTS", 1000)
    with pytest.raises(ConfigError, match="more than this model can use") as raised:
        models.train_item_weights("ease", random_rows(), PARAMS, 1)
    assert "ranking_model=implicit" in str(raised.value)


def test_ease_refuses_a_singular_matrix() -> None:
    with pytest.raises(DataError, match="singular"):
        ease.weights(np.full((3, 3), 1e20), 1e-9)


def test_movies_that_nobody_shares_have_no_neighbours() -> None:
    assert not item_knn.weights(np.diag([4.0, 9.0, 0.0]), 5, 0.0).any()


# --- lists


@pytest.mark.parametrize("threads", [1, 3])
def test_lists_of_weights_are_the_best_unseen_movies(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_weights, "TASK_USERS", 7)
    rows = random_rows()
    model = models.train_item_weights("item_knn", rows, PARAMS, 1)
    users = np.array([10, 15, 20, 600], np.int32)  # 15 is unknown
    x = matrix(rows, users, model.movies.ids, PARAMS)
    scores = np.zeros(x.shape, np.float32)
    for movie in range(x.shape[1]):
        scores += x[:, movie, None].astype(np.float32) * model.weights[movie]
    for exclude_seen in (True, False):
        found = models.lists(model, users, rows, PARAMS, n=12, threads=threads, exclude_seen=exclude_seen)
        for number, user in enumerate(users.tolist()):
            own = slice(*found.offsets[number : number + 2])
            seen = set(rows.movies[rows.users == user].tolist()) if exclude_seen else set()
            order = [at for at in np.argsort(-scores[number], kind="stable") if model.movies.ids[at] not in seen]
            expected = [] if user == 15 else model.movies.ids[order[:12]].tolist()
            assert found.movie_ids[own].tolist() == expected


def test_a_user_with_every_movie_has_an_empty_list() -> None:
    rows = random_rows()
    everything = np.unique(rows.movies)
    more = Rows(
        np.concatenate([rows.users, np.full(len(everything), 7, np.int32)]),
        np.concatenate([rows.movies, everything]),
        np.concatenate([rows.ratings, np.full(len(everything), 5, np.float32)]),
        np.concatenate([rows.moments, np.zeros(len(everything), np.int64)]),
    )
    model = models.train_item_weights("ease", more, PARAMS, 1)
    found = models.lists(model, np.array([7, 10], np.int32), more, PARAMS, n=3, threads=1)
    assert np.diff(found.offsets).tolist() == [0, 3]


def table_of(rows: Rows) -> pa.Table:
    index = [np.unique(ids, return_inverse=True)[1].astype(np.int32) for ids in (rows.users, rows.movies)]
    return pa.table({
        "user_id": rows.users, "movie_id": rows.movies, "user_index": index[0], "movie_index": index[1],
        "rating": rows.ratings, "rating_ts": pa.array(rows.moments).cast(pa.timestamp("us", "UTC")),
    })  # fmt: skip


def test_lists_of_factors_leave_out_what_the_user_has_rated_and_skip_unknown_users() -> None:
    rows = random_rows()
    model = implicit.train(table_of(rows), PARAMS | {"positives": "liked"}, threads=1, log=lambda _: None).model
    users = np.array([10, 15, 20], np.int32)
    found = models.lists(model, users, rows, PARAMS, n=5, threads=1)
    assert np.diff(found.offsets).tolist() == [5, 0, 5]
    for number, user in ((0, 10), (2, 20)):
        own = found.movie_ids[found.offsets[number] : found.offsets[number + 1]]
        assert not set(own.tolist()) & set(rows.movies[rows.users == user].tolist())
        scores = model.predict(np.full(5, user, np.int32), own)
        assert (np.diff(scores) <= 1e-6).all()


def test_implicit_als_finds_tastes_that_popularity_does_not() -> None:
    """Two groups of users with movies of their own; a user who has rated half of a group's movies gets the others."""
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(1, 101, dtype=np.int32), 10)
    group = (users > 50).astype(int)
    movies = np.concatenate([rng.permutation(20)[:10] for _ in range(100)]).astype(np.int32) + 1 + 20 * group
    rows = Rows(users, movies.astype(np.int32), np.full(1000, 5, np.float32), np.zeros(1000, np.int64))
    clear = PARAMS | {"ranking_rank": 2, "ranking_max_iter": 20}
    for kind in ("implicit", "ease", "item_knn"):
        model: models.RankingModel
        if kind == "implicit":
            model = implicit.train(table_of(rows), clear, threads=1, log=lambda _: None).model
        else:
            model = models.train_item_weights(kind, rows, PARAMS | {"ease_reg": 5.0}, 1)
        found = models.lists(model, np.unique(users), rows, PARAMS, n=10, threads=1)
        first = np.repeat(np.unique(users) <= 50, np.diff(found.offsets))
        assert ((found.movie_ids <= 20) == first).mean() > 0.95, kind


def test_popular_movies_are_a_model_with_the_same_scores_for_every_user() -> None:
    rows = random_rows()
    for params in (PARAMS, PARAMS | {"positives": "liked", "positive_half_life": 30.0}):
        model = popular.train(rows, params)
        x = matrix(rows, np.unique(rows.users), np.unique(rows.movies), params)
        expected = x.sum(axis=0)[np.isin(np.unique(rows.movies), model.movies.ids)]
        np.testing.assert_allclose(model.movies.factors[:, 0], expected, rtol=1e-5)
        assert model.users.ids.tolist() == np.unique(rows.users).tolist()
        found = models.lists(model, np.array([10, 20], np.int32), rows, params, n=5, threads=1)
        for number, user in enumerate((10, 20)):
            seen = np.isin(model.movies.ids, rows.movies[rows.users == user])
            order = np.argsort(-np.where(seen, -np.inf, model.movies.factors[:, 0]), kind="stable")[:5]
            own = slice(*found.offsets[number : number + 2])
            assert found.movie_ids[own].tolist() == model.movies.ids[order].tolist()


# --- files and parameters


def test_models_of_every_kind_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = random_rows()
    weights = models.train_item_weights("ease", rows, PARAMS, 1)
    factors = Model(Side(np.array([1], np.int32), np.ones((1, 2), np.float32)), weights.movies)
    fingerprints = []
    for name, write in (("weights", item_weights.write_item_weights), ("factors", write_model)):
        folder = tmp_path / name
        folder.mkdir()
        given = weights if name == "weights" else factors
        write(given, folder)  # type: ignore[operator]
        found = models.read_ranking_model(folder)
        assert type(found) is type(given)
        assert np.array_equal(found.movies.factors, weights.weights)
        fingerprints.append(model_fingerprint(folder))
    assert fingerprints[0] != fingerprints[1]


def test_only_the_parameters_of_a_model_decide_its_version() -> None:
    base = PARAMS | {"ranking_model": "ease"}
    shaped = shaping_params(base, "native")
    assert shaped == shaping_params(base | {"ranking_rank": 3, "knn_shrink": 1.0, "positive_strength": 9.0}, "native")
    for changed in ({"ease_reg": 1.0}, {"positives": "all"}, {"ranking_model": "item_knn"}, {"min_item_ratings": 3}):
        assert shaped != shaping_params(base | changed, "native")
    assert choose_engine(base | {"engine": "spark-ml"}, 10).engine == "native"
    assert choose_engine(base | {"engine": "spark-ml", "ranking_model": "implicit"}, 10).engine == "spark-ml"


def test_auto_is_ease_for_small_data_and_implicit_als_for_large_and_says_why() -> None:
    def chosen(ratings: int, movies: int, **params: Any) -> tuple[str, str]:
        kind = choose_kind(PARAMS | {"ranking_model": "auto", "max_items": 3000} | params, ratings, movies)
        return kind.name, kind.reason

    limit = shaping.MAX_AUTO_MOVIES
    assert chosen(100_000, limit) == ("ease", "10,000 movies are no more than the 10,000 that EASE is chosen for")
    assert chosen(100_000, limit + 1)[0] == "implicit"
    most = shaping.MAX_PRODUCTS // 3000
    assert [chosen(ratings, limit)[0] for ratings in (most, most + 1)] == ["ease", "implicit"]
    assert "max_items=3000" in chosen(most + 1, limit)[1]
    assert chosen(most + 1, limit, max_items=1000)[0] == "ease"
    assert chosen(100, 10, engine="spark-ml") == ("implicit", "pyspark.ml trains no other ranking model")
    for name in ("ease", "popular"):
        assert chosen(10**10, 10**6, ranking_model=name) == (name, "ranking_model is set")


@pytest.mark.parametrize(("users", "movies"), [([1], [7]), ([1, 1, 1], [5, 6, 7]), ([1, 2, 3], [7, 7, 7])])
def test_one_user_or_one_movie_is_enough_for_every_model(users: list[int], movies: list[int]) -> None:
    """The rank is above the number of movies; nobody has an unseen movie."""
    pairs = np.array(users, np.int32), np.array(movies, np.int32)
    rows = Rows(*pairs, np.full(len(users), 5, np.float32), np.zeros(len(users), np.int64))
    every: list[models.RankingModel] = [
        implicit.train(table_of(rows), PARAMS, threads=1, log=lambda _: None).model,
        popular.train(rows, PARAMS),
        *(models.train_item_weights(kind, rows, PARAMS, 1) for kind in models.ITEM_WEIGHTS),
    ]
    for model in every:
        assert np.isfinite(model.movies.factors).all()
        found = models.lists(model, np.unique(pairs[0]), rows, PARAMS, n=3, threads=1)
        assert not len(found.movie_ids)
        again = models.lists(model, np.unique(pairs[0]), rows, PARAMS, n=3, threads=1, exclude_seen=False)
        assert set(again.movie_ids.tolist()) <= set(movies)
