"""One version of what a lakehouse serves: its model, ratings, movies and stored lists, which belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reco_platform.config.model import Config
from reco_platform.core import project
from reco_platform.core.arrays import BoolArray, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array
from reco_platform.core.errors import TableError
from reco_platform.core.hashing import short_hash
from reco_platform.core.rating_scale import RatingScale
from reco_platform.lakehouse import layout, receipts
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.lakehouse.source_ids import NUMBERS, AllSourceIds, SourceIds
from reco_platform.lakehouse.tables import content_problem, local_path, open_table
from reco_platform.models import popularity
from reco_platform.models.als.model import Model, read_model
from reco_platform.models.ranking.models import read_ranking_model
from reco_platform.models.ranking.positives import RatingRange, positives_within, rating_range
from reco_platform.models.scorers import ImplicitScorer, PopularScorer, Rated, RatingScorer, Scorer, WeightScorer
from reco_platform.pipeline.steps_table import artifact_of, possible_inputs
from reco_platform.serving.catalogue import Catalogue, catalogue
from reco_platform.serving.mapped import ArrayFiles, Arrays
from reco_platform.splits.interactions import FOLDS, TRAINING, microseconds

SAVED_CONFIG = "config.resolved.json"

HALF_LIFE = 365
"""Days after which a rating counts half for the popularity of late, where no run has chosen them."""

MAPPED_FROM = 1_000_000
"""Ratings from which on their arrays are kept in files, for processes to share; fewer are read in a second."""

CODE_OF_ARRAYS = 1
"""To be raised when the meaning of the arrays changes."""

RATING_MODELS = ("model", "als_refit")
"""Results that predict ratings; all others order lists."""


@dataclass(frozen=True)
class UserRatings:
    """All ratings; those of user j are at bounds[j]:bounds[j + 1].

    Attributes:
        users: ids, rising, shape (users,).
        bounds: shape (users + 1,).
        movies: positions in the catalogue, rising for each user, shape (ratings,).
        stars: the ratings.
        moments: microseconds since 1970.
        folds: position in `splits.interactions.FOLDS`.
    """

    users: Int32Array
    bounds: Int64Array
    movies: Int32Array
    stars: Float32Array
    moments: Int64Array
    folds: Int8Array

    def of(self, user_id: int) -> slice | None:
        """Where a user's ratings are; None for a user without ratings."""
        at = int(np.searchsorted(self.users, user_id))
        if at == len(self.users) or self.users[at] != user_id:
            return None
        return slice(int(self.bounds[at]), int(self.bounds[at + 1]))

    def in_folds(self, folds: Collection[str], rows: slice = slice(None)) -> BoolArray:
        """Which ratings belong to some folds."""
        return np.isin(self.folds[rows], [FOLDS.index(fold) for fold in folds])


@dataclass(frozen=True)
class StoredLists:
    """The lists of gold; that of user j is at bounds[j]:bounds[j + 1], best first.

    Attributes:
        users: ids, rising.
        bounds: shape (users + 1,).
        movie_ids, scores: of the listed movies.
    """

    users: Int32Array
    bounds: Int64Array
    movie_ids: Int32Array
    scores: Float32Array

    def of(self, user_id: int) -> tuple[Int32Array, Float32Array] | None:
        """Movie ids and scores of a user's list; None without one."""
        at = int(np.searchsorted(self.users, user_id))
        if at == len(self.users) or self.users[at] != user_id:
            return None
        own = slice(int(self.bounds[at]), int(self.bounds[at + 1]))
        return self.movie_ids[own], self.scores[own]


@dataclass(frozen=True)
class ModelPart:
    """A trained model as it answers.

    Attributes:
        scorer: scores by it.
        receipt: of the model.
        folds: that it was trained on.
        positions: in the catalogue, of each movie of the model, rising.
    """

    scorer: Scorer
    receipt: Receipt
    folds: tuple[str, ...]
    positions: Int32Array

    @property
    def version(self) -> str:
        return str(self.receipt.facts["model_version"])

    @property
    def is_of_ratings(self) -> bool:
        return isinstance(self.scorer, RatingScorer)

    @property
    def kind(self) -> str:
        """`explicit` for a model of ratings, otherwise the kind of ranking model."""
        if isinstance(self.scorer, WeightScorer):
            return self.scorer.model.kind
        if isinstance(self.scorer, PopularScorer):
            return "popular"
        return "explicit" if self.is_of_ratings else "implicit"

    @property
    def score_means(self) -> str:
        """What a score is, in words."""
        if isinstance(self.scorer, PopularScorer):
            return "how much people like it, all together"
        return "a predicted rating in stars" if self.is_of_ratings else "how well it fits; only the order matters"

    def words(self, title: str, stars: float, value: float) -> str:
        """A rating in words.

        Args:
            title: of the rated movie.
            stars: the rating.
            value: what it says to the model; see `Taste`.
        """
        given = f"{title} ({stars:g} star{'' if stars == 1 else 's'})"
        if isinstance(self.scorer, RatingScorer):
            return f"you rated {given} {'higher' if value >= 0 else 'lower'} than its level and yours suggest"
        if self.params["positives"] in {"graded", "liked"} and value in {0, 1}:
            return f"you {'liked' if value else 'did not like'} {given}"
        return f"you rated {given}"

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters of its training."""
        found: Mapping[str, Any] = self.receipt.made_from["params"]
        return found

    def model_positions(self, wanted: Int32Array) -> tuple[Int32Array, BoolArray]:
        """The position in the model of movies of the catalogue, and whether the model has them."""
        at = np.minimum(np.searchsorted(self.positions, wanted), len(self.positions) - 1).astype(np.int32)
        return at, self.positions[at] == wanted

    def rated(self, movies: Int32Array, stars: Float32Array, moments: Int64Array) -> Rated:
        """The ratings of movies of the model among some of movies of the catalogue, whose positions rise."""
        at, known = self.model_positions(movies)
        return Rated(at[known], stars[known], moments[known])


@dataclass(frozen=True)
class ServedVersion:
    """What one version answers from; nothing in it changes.

    Attributes:
        dataset: its name.
        lists: the model that orders lists.
        stored: the lists of gold.
        ratings: of all users.
        catalogue: of all movies.
        predicts: the model that predicts ratings; None if there is none.
        params: of the step that made the lists: top_n, exclude_seen, refit and so on.
        popular_half_life: days after which a rating counts half for the popularity of late.
        scale: of the ratings.
        receipts: of everything that was read, by name.
        metrics: the metrics file of the latest run; empty if it is of other models.
        made_at: when the lists were written.
        users: the ids of users as the source writes them.
    """

    dataset: str
    lists: ModelPart
    stored: StoredLists
    ratings: UserRatings
    catalogue: Catalogue
    predicts: ModelPart | None
    params: Mapping[str, Any]
    popular_half_life: int
    scale: RatingScale
    receipts: Mapping[str, Receipt]
    metrics: Mapping[str, Any]
    made_at: datetime
    users: SourceIds = NUMBERS.users

    @cached_property
    def popular(self) -> tuple[Int32Array, Float64Array]:
        """Movies of the model from the most popular on, as positions in the catalogue, and the score of each."""
        known = self.ratings.in_folds(self.lists.folds)
        movies, in_model = self.lists.model_positions(self.ratings.movies[known])
        movies, count = movies[in_model], len(self.lists.positions)
        moments = self.ratings.moments[known][in_model]
        recent = popularity.recent_popularity(movies, moments, self.popular_half_life, count)
        order = popularity.best_first(recent, popularity.popularity(movies, count))
        return self.lists.positions[order], recent[order]


def load(lakehouse: Lakehouse) -> ServedVersion:
    """The version that the receipts of a lakehouse name.

    Raises:
        TableError: a result is missing or damaged, or the receipts are not of one run, as while a run is under way.
    """
    found = {name: receipt_of(lakehouse, name) for name in ("recommendations", "interactions", "movies")}
    lists = found["recommendations"]
    check_made_from(lists, "interactions", found["interactions"])
    name, model = served_model(lakehouse, lists)
    check_made_from(model, "interactions", found["interactions"])
    folds = FOLDS if lists.made_from["params"]["refit"] else TRAINING
    listed = movies_table(lakehouse, found["movies"])
    large = found["interactions"].rows >= MAPPED_FROM
    files = ArrayFiles(lakehouse.records / layout.SERVING if large else None)
    version = short_hash([CODE_OF_ARRAYS, *(one.content_identity for one in found.values())])
    arrays = files.get(version, lambda: arrays_of(lakehouse, found, listed))
    ratings = UserRatings(*(arrays[field.name] for field in fields(UserRatings)))
    ids = source_ids(lakehouse)
    movies = catalogue(listed, *rated_movies(ratings, arrays["movie_ids"], folds), source=ids.movies)
    part = model_part(
        lakehouse, name, model, ratings=ratings, movies=movies, lists_params=lists.made_from["params"], folds=folds
    )
    stored = StoredLists(*(arrays[f"list_{field.name}"] for field in fields(StoredLists)))
    found[name], metrics = model, metrics_of(lakehouse, model)
    return ServedVersion(
        lakehouse.dataset, part, stored, ratings, movies,
        part if part.is_of_ratings else rating_part(lakehouse, found, ratings, movies),
        lists.made_from["params"], popular_half_life(lakehouse, metrics), saved_scale(lakehouse),
        found, metrics, moment_of_lists(arrays), ids.users,
    )  # fmt: skip


def source_ids(lakehouse: Lakehouse) -> AllSourceIds:
    """The ids as the source writes them; numbers that were once given to an id stay the same in later runs."""

    def table(name: str) -> pa.Table | None:
        receipt = optional_receipt(lakehouse, name)
        return read_table(lakehouse, receipt, None) if receipt is not None and receipt.kind == "table" else None

    return AllSourceIds.read(table)


def arrays_of(lakehouse: Lakehouse, found: Mapping[str, Receipt], listed: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """The ratings and the stored lists, which are as long as the data, by name.

    Args:
        lakehouse: with the tables.
        found: receipts of interactions and recommendations.
        listed: the movies.
    """
    columns = ["user_id", "movie_id", "rating", "rating_ts", "fold"]
    table = read_table(lakehouse, found["interactions"], columns)
    movie_ids = np.union1d(listed["movie_id"].to_numpy(), table["movie_id"].to_numpy()).astype(np.int32)
    ratings = user_ratings(table, movie_ids)
    lists = read_table(lakehouse, found["recommendations"], ["user_id", "recommendations", "generated_ts"])
    stored = stored_lists(lists)
    return {
        "movie_ids": movie_ids,
        "made_at": microseconds(lists["generated_ts"])[:1],
        **{field.name: getattr(ratings, field.name) for field in fields(ratings)},
        **{f"list_{field.name}": getattr(stored, field.name) for field in fields(stored)},
    }


def moment_of_lists(arrays: Arrays) -> datetime:
    """When the stored lists were written; 1970 if there are none."""
    return datetime.fromtimestamp(int(arrays["made_at"].sum()) / 1e6, UTC)


# --- receipts


def receipt_of(lakehouse: Lakehouse, name: str) -> Receipt:
    return receipts.read(lakehouse.receipt(artifact_of(name, lakehouse.dataset)))


def optional_receipt(lakehouse: Lakehouse, name: str) -> Receipt | None:
    try:
        return receipt_of(lakehouse, name)
    except TableError:
        return None


def is_made_from(made: Receipt, name: str, given: Receipt) -> bool:
    return bool(made.made_from["inputs"].get(name) == given.content_identity)


def check_made_from(made: Receipt, name: str, given: Receipt) -> None:
    """Raises TableError unless a result was made from the present version of an input."""
    if not is_made_from(made, name, given):
        raise TableError(
            f"{made.path} was made from another version of {given.path}: a run is under way, or has stopped",
            f"wait for it, or run {project.run_command('gold')}",
        )


def served_model(lakehouse: Lakehouse, lists: Receipt) -> tuple[str, Receipt]:
    """The result whose model made the lists, and its receipt."""
    for name in possible_inputs("served_model"):
        receipt = optional_receipt(lakehouse, name)
        if receipt is not None and is_made_from(lists, "served_model", receipt):
            return name, receipt
    raise TableError(
        f"{lists.path} was made from a model that is no longer there: a run is under way, or has stopped",
        f"wait for it, or run {project.run_command('gold')}",
    )


def metrics_of(lakehouse: Lakehouse, model: Receipt) -> Mapping[str, Any]:
    """The metrics of the latest run; empty if the file is missing or its lists are of another model."""
    receipt = optional_receipt(lakehouse, "run_metrics")
    if receipt is None or content_problem(lakehouse.path, receipt):
        return {}
    found: dict[str, Any] = json.loads(local_path(lakehouse.path, receipt).read_text(encoding="utf-8"))
    return found if found.get("served_version") == model.facts["model_version"] else {}


def popular_half_life(lakehouse: Lakehouse, metrics: Mapping[str, Any]) -> int:
    """The half-life of the popularity of late: of the stored fallback lists, else of the evaluation."""
    receipt = optional_receipt(lakehouse, "fallback")
    if receipt is not None and (found := re.match(r"popular-(\d+)d-", str(receipt.facts["model_version"]))):
        return int(found[1])
    return int(metrics.get("evaluation", {}).get("popular_half_life", HALF_LIFE))


def saved_scale(lakehouse: Lakehouse) -> RatingScale:
    """The scale in the configuration of the latest run; the default where that is not known."""
    try:
        saved = json.loads((lakehouse.records / SAVED_CONFIG).read_text(encoding="utf-8"))
    except OSError:
        saved = {}
    return Config.model_construct(
        **{key: saved[key] for key in ("rating_scale", "rating_column") if key in saved}
    ).scale


# --- tables


def read_table(lakehouse: Lakehouse, receipt: Receipt, columns: list[str] | None) -> pa.Table:
    return open_table(lakehouse.path, receipt, project.run_command("gold")).read(columns)


def movies_table(lakehouse: Lakehouse, receipt: Receipt) -> pa.Table:
    return read_table(lakehouse, receipt, ["movie_id", "title", "genres", "release_year"])


def user_ratings(table: pa.Table, movie_ids: Int32Array) -> UserRatings:
    """The ratings by user.

    Args:
        table: user_id, movie_id, rating, rating_ts and fold of all interactions.
        movie_ids: of the catalogue, rising.
    """
    users, movies, stars = (table[name].to_numpy() for name in ("user_id", "movie_id", "rating"))
    moments, names = microseconds(table["rating_ts"]), table["fold"].combine_chunks().dictionary_encode()
    folds = np.array([FOLDS.index(name) for name in names.dictionary.to_pylist()], np.int8)[names.indices.to_numpy()]
    order = np.lexsort([movies, users])
    ids, counts = np.unique(users, return_counts=True)
    positions = np.searchsorted(movie_ids, movies[order]).astype(np.int32)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return UserRatings(ids, bounds, positions, stars[order], moments[order], folds[order])


def rated_movies(
    ratings: UserRatings, movie_ids: Int32Array, folds: Collection[str]
) -> tuple[Int32Array, Int64Array, Float64Array]:
    """Ids of the catalogue, the number of ratings in some folds, and the mean of all ratings; NaN without ratings."""
    size = len(movie_ids)
    counts = np.bincount(ratings.movies, minlength=size)
    sums = np.bincount(ratings.movies, ratings.stars, minlength=size)
    means = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    return movie_ids, np.bincount(ratings.movies[ratings.in_folds(folds)], minlength=size), means


def stored_lists(table: pa.Table) -> StoredLists:
    table = table.sort_by("user_id")
    lists = table["recommendations"].combine_chunks()
    lists = lists.take(pa.array(np.arange(len(lists))))  # a copy, whose offsets begin at 0
    bounds = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())])
    flat = lists.flatten()
    parts = flat.field("movie_id").to_numpy(), flat.field("score").to_numpy()
    return StoredLists(table["user_id"].to_numpy(), bounds, *parts)


# --- models


def model_part(
    lakehouse: Lakehouse,
    name: str,
    receipt: Receipt,
    *,
    ratings: UserRatings,
    movies: Catalogue,
    lists_params: Mapping[str, Any],
    folds: tuple[str, ...],
) -> ModelPart:
    """The model that a receipt names, as it answers.

    Args:
        lakehouse: with the model.
        name: of the result.
        receipt: of the model.
        ratings, movies: all of them.
        lists_params: of the step that made the lists.
        folds: that the model was trained on.
    """
    found = content_problem(lakehouse.path, receipt)
    if found:
        raise TableError(found, project.run_command("gold"))
    folder, params = local_path(lakehouse.path, receipt), receipt.made_from["params"]
    if name in RATING_MODELS:
        model = read_model(folder)
        return part_of(RatingScorer(model, params, receipt.facts["mean"]), receipt, folds, movies)
    ranking = read_ranking_model(folder)
    if receipt.facts.get("ranking_model") == "popular" and isinstance(ranking, Model):
        return part_of(PopularScorer(ranking), receipt, folds, movies)
    if isinstance(ranking, Model):
        trained = training_ratings(ratings, folds, params)
        known = rating_range(ratings.stars[trained], ratings.moments[trained])
        return part_of(ImplicitScorer(ranking, params, known), receipt, folds, movies)
    # Lists by weights count the ratings of all users; see steps.recommend.
    counted = ratings.in_folds(folds)
    known = rating_range(ratings.stars[counted], ratings.moments[counted])
    average = average_strengths(ratings, counted, known, lists_params, movies.positions(ranking.movies.ids))
    return part_of(WeightScorer(ranking, dict(lists_params), known, average), receipt, folds, movies)


def part_of(scorer: Scorer, receipt: Receipt, folds: tuple[str, ...], movies: Catalogue) -> ModelPart:
    return ModelPart(scorer, receipt, folds, movies.positions(scorer.movies))


def rating_part(
    lakehouse: Lakehouse, found: dict[str, Receipt], ratings: UserRatings, movies: Catalogue
) -> ModelPart | None:
    """The model of ratings beside the one that orders lists; None if it is missing, or of other data."""
    receipt = optional_receipt(lakehouse, "model")
    if receipt is None or not is_made_from(receipt, "interactions", found["interactions"]):
        return None
    found["model"] = receipt
    return model_part(lakehouse, "model", receipt, ratings=ratings, movies=movies, lists_params={}, folds=TRAINING)


def training_ratings(ratings: UserRatings, folds: Collection[str], params: Mapping[str, Any]) -> BoolArray:
    """Which ratings a model was trained on: of some folds, of users and movies with enough ratings there."""
    known = ratings.in_folds(folds)
    user = np.repeat(np.arange(len(ratings.users)), np.diff(ratings.bounds))
    by_user, by_movie = np.bincount(user[known]), np.bincount(ratings.movies[known])
    enough = np.zeros(len(known), bool)
    enough[known] = (by_user >= params["min_user_ratings"])[user[known]] & (by_movie >= params["min_item_ratings"])[
        ratings.movies[known]
    ]
    return enough


def average_strengths(
    ratings: UserRatings, counted: BoolArray, known: RatingRange, params: Mapping[str, Any], movies: Int32Array
) -> Float64Array:
    """The mean strength of each movie in the profiles of users, shape of `movies`, positions in the catalogue."""
    found = positives_within(known, ratings.stars[counted], ratings.moments[counted], params)
    sums = np.bincount(
        ratings.movies[counted][found.kept], found.strengths, minlength=int(np.max(movies, initial=0)) + 1
    )
    mean: Float64Array = sums[movies] / max(len(ratings.users), 1)
    return mean
