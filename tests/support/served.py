"""Small served versions in memory: random ratings, a model that was really trained on them, and movies with titles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from reco_platform.contracts.tables import MOVIES
from reco_platform.core.rating_scale import RatingScale
from reco_platform.evaluation.dataset import rating_arrays
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.models.als import training
from reco_platform.models.als.model import Model
from reco_platform.models.ranking import implicit, models, popular
from reco_platform.models.ranking.item_weights import ItemWeights
from reco_platform.models.ranking.positives import rating_range
from reco_platform.models.scorers import ImplicitScorer, PopularScorer, RatingScorer, Scorer, WeightScorer
from reco_platform.models.topn import exact
from reco_platform.serving import version as versions
from reco_platform.serving.catalogue import catalogue
from reco_platform.serving.version import ServedVersion, StoredLists
from reco_platform.splits.interactions import FOLDS, MICROSECONDS_OF_A_DAY

Kind = Literal["implicit", "explicit", "plain", "ease", "item_knn", "popular"]
KINDS: tuple[Kind, ...] = ("implicit", "explicit", "plain", "ease", "item_knn", "popular")
PARAMS: dict[str, Any] = {
    "positives": "graded", "liked_rating": 4.0, "disliked_rating": 2.5, "best_rating": 5.0,
    "positive_strength": 4.0,
    "positive_half_life": 300, "min_user_ratings": 1, "min_item_ratings": 1, "ranking_rank": 4, "ranking_max_iter": 6,
    "ranking_reg_param": 0.01, "unobserved_weight": 0.4, "seed": 7, "solver": "cholesky", "max_items": 30,
    "ease_reg": 5.0, "knn_neighbours": 8, "knn_shrink": 2.0, "rank": 4, "max_iter": 6, "reg_param": 0.1,
    "biased": True, "bias_damping": 5.0, "nonnegative": False, "top_n": 5, "exclude_seen": True, "refit": True,
}  # fmt: skip
USERS, MOVIES_COUNT, RATINGS = 30, 40, 420


def params_of(kind: Kind, **changed: Any) -> dict[str, Any]:
    return {**PARAMS, "ranking_model": kind, "biased": kind != "plain", **changed}


def ratings_table(seed: int = 0) -> pa.Table:
    """Interactions sorted by user and movie; ids are 10 times the dense indexes, plus 1 for movies."""
    rng = np.random.default_rng(seed)
    cells = np.sort(rng.choice(USERS * MOVIES_COUNT, RATINGS, replace=False))
    _, user = np.unique(cells // MOVIES_COUNT, return_inverse=True)
    _, movie = np.unique(cells % MOVIES_COUNT, return_inverse=True)
    moments = rng.integers(0, 900 * MICROSECONDS_OF_A_DAY, RATINGS)
    return pa.table({
        "user_id": pa.array(user * 10, pa.int32()),
        "movie_id": pa.array(movie * 10 + 1, pa.int32()),
        "user_index": pa.array(user, pa.int32()),
        "movie_index": pa.array(movie, pa.int32()),
        "rating": pa.array(rng.integers(1, 11, RATINGS) / 2, pa.float32()),
        "rating_ts": pa.array(moments, pa.timestamp("us", "UTC")),
        "fold": pa.array(["train"] * RATINGS),
    })  # fmt: skip


def trained(kind: Kind, rows: pa.Table, params: dict[str, Any]) -> Model | ItemWeights:
    if kind == "implicit":
        return implicit.train(rows, params, threads=1, log=lambda _: None).model
    if kind == "popular":
        return popular.train(rating_arrays(rows), params)
    if kind in {"explicit", "plain"}:
        return training.train(rows, params, threads=1, log=lambda _: None).model
    return models.train_item_weights(kind, rating_arrays(rows), params, 1)


def scorer(kind: Kind, rows: pa.Table, params: dict[str, Any]) -> Scorer:
    model, arrays = trained(kind, rows, params), rating_arrays(rows)
    known = rating_range(arrays.ratings, arrays.moments)
    if isinstance(model, ItemWeights):
        profiles = models.profiles_of(np.unique(arrays.users), model.movies, arrays, params)
        strengths = np.bincount(profiles.movies, profiles.strengths, minlength=len(model.movies.ids))
        return WeightScorer(model, params, known, strengths / len(profiles))
    if kind == "popular":
        return PopularScorer(model)
    if kind == "implicit":
        return ImplicitScorer(model, params, known)
    return RatingScorer(model, params, float(np.mean(arrays.ratings, dtype=np.float64)))


def movies_table(rows: pa.Table) -> pa.Table:
    """A table with a title for each rated movie, and one movie without ratings."""
    ids = [*np.unique(rows["movie_id"].to_numpy()).tolist(), 9999]
    years = [1980 + at for at in range(len(ids))]
    columns = {
        "movie_id": ids,
        "title": [f"Movie {at}, The ({year})" for at, year in enumerate(years)],
        "genres_string": [None] * len(ids),
        "genres": [["Comedy"] if at % 2 else ["Drama", "War"] for at in range(len(ids))],
        "release_year": years,
    }
    return pa.table(columns, schema=MOVIES.schema)


def served(kind: Kind, seed: int = 0, **changed: Any) -> ServedVersion:
    """A version whose stored lists are those of the function that makes gold's."""
    params, rows = params_of(kind, **changed), ratings_table(seed)
    own = scorer(kind, rows, params)
    listed = movies_table(rows)
    ratings = versions.user_ratings(rows, listed["movie_id"].to_numpy())
    movies = catalogue(listed, *versions.rated_movies(ratings, listed["movie_id"].to_numpy(), FOLDS))
    facts = {"model_version": f"{kind}-1", "users": len(ratings.users), "movies": len(own.movies), "ratings": RATINGS}
    receipt = Receipt("gold/models/x", "model", "gold/models/x/1", facts=facts, made_from={"params": params})
    part = versions.part_of(own, receipt, FOLDS, movies)
    return ServedVersion(
        "small", part, stored_lists(own, rows, params), ratings, movies, part if part.is_of_ratings else None, params,
        90, RatingScale(),
        {"interactions": Receipt("gold/interactions", "table", "gold/interactions", fingerprint="f")}, {},
        datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def stored_lists(own: Scorer, rows: pa.Table, params: dict[str, Any]) -> StoredLists:
    arrays = rating_arrays(rows)
    model = own.model  # type: ignore[attr-defined]  # every scorer has one
    users = models.users_with_lists(model, arrays, params)
    if isinstance(model, Model):
        seen = exact.seen_by_id(model, arrays.users, arrays.movies)
        lists = exact.top_n(model, params["top_n"], seen, 1)
    else:
        lists = models.lists(model, users, arrays, params, n=params["top_n"], threads=1)
    return StoredLists(users, lists.offsets, lists.movie_ids, lists.scores)
