"""Prints facts of a real data set beside those of generated ones, to fit the constants of the generator.

python tools/fit_demo.py --data ../shared/data/ml-latest-small --generated demo generated-1m
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from evaluate_docs import markdown

from reco_platform.cleaning import movies as movies_csv
from reco_platform.cleaning import ratings as ratings_csv
from reco_platform.cleaning.native import cleaned_table
from reco_platform.config.load import load_config
from reco_platform.core import terminal
from reco_platform.core.arrays import Int32Array, Int64Array
from reco_platform.core.errors import ConfigError, report_errors
from reco_platform.datasets import synthetic
from reco_platform.datasets.registry import GenerateDataset, load_registry
from reco_platform.evaluation import ranking_metrics, systems
from reco_platform.evaluation.dataset import (
    EvaluationDataset,
    evaluation_dataset,
    rating_arrays,
    relevant_by_user,
    relevant_rows,
)
from reco_platform.evaluation.half_life import HALF_LIVES
from reco_platform.evaluation.settings import settings_from_params
from reco_platform.evaluation.user_sums import metric_values
from reco_platform.models import popularity
from reco_platform.models.als.model import Model, Side
from reco_platform.models.ranking import implicit, models
from reco_platform.models.ranking.models import RankingModel
from reco_platform.splits.latest import LatestRatings, latest_ratings
from reco_platform.splits.split import split as split_rows

REGISTRY = Path("config/datasets.yaml")
SPLITS = ("user_time", "random")
LIKED = 4.0
Facts = dict[str, str]


def facts(folder: Path, threads: int) -> Facts:
    """What a folder with ratings.csv and movies.csv shows, by name."""
    ratings, movies = cleaned(folder, threads)
    rows = latest_ratings(ratings.select(["user_id", "movie_id", "rating", "rating_ts"]), threads)
    found = sizes(ratings, movies) | marginals(ratings, movies) | recency(ratings, movies)
    found["users without training ratings, global_time"] = f"{cold_users(rows):.2f}"
    for split in SPLITS:
        found |= ranking(rows, split, threads)
    return found


def cleaned(folder: Path, threads: int) -> tuple[pa.Table, pa.Table]:
    """The valid rows of ratings.csv and movies.csv."""
    ratings = cleaned_table(folder / "ratings.csv", ratings_csv.CLEANING, threads)
    return ratings, cleaned_table(folder / "movies.csv", movies_csv.CLEANING, threads)


def sizes(ratings: pa.Table, movies: pa.Table) -> Facts:
    users = len(ratings["user_id"].unique())
    return {"users": f"{users:,}", "movies": f"{len(movies):,}", "ratings": f"{len(ratings):,}"}


def marginals(ratings: pa.Table, movies: pa.Table) -> Facts:
    """Stars, activity and the long tail."""
    stars = ratings["rating"].to_numpy()
    active = np.sort(counts(ratings["user_id"]))[::-1]
    rated = np.sort(counts(ratings["movie_id"]))[::-1]
    return {
        "mean rating": f"{stars.mean():.2f}",
        "standard deviation of ratings": f"{stars.std():.2f}",
        "share of ratings of at least 4.0": f"{(stars >= LIKED).mean():.2f}",
        "median and mean of ratings per user": f"{np.median(active):.0f}, {active.mean():.0f}",
        "share of ratings by the top 10% of users": f"{share_of_first(active, len(active) // 10):.2f}",
        "share of ratings of the top 1% of movies": f"{share_of_first(rated, len(movies) // 100):.2f}",
        "share of ratings of the top 10% of movies": f"{share_of_first(rated, len(movies) // 10):.2f}",
    }


def counts(column: pa.ChunkedArray) -> Int64Array:
    """How often each value occurs."""
    return np.unique(column.to_numpy(), return_counts=True)[1]


def share_of_first(numbers: Int64Array, count: int) -> float:
    return float(numbers[:count].sum() / numbers.sum())


def recency(ratings: pa.Table, movies: pa.Table) -> Facts:
    """How much more a movie is rated in the year after its release than in the two years after that.

    Only movies released after the year of the first rating count. Each movie is compared with itself: a year's expected
    share of its ratings is the share of the year in the ratings of all movies.
    """
    rated_in = years(ratings["rating_ts"])
    first, last = int(rated_in.min()), int(rated_in.max())
    everyone = np.bincount(rated_in - first, minlength=last - first + 1)
    known = movies.filter(movies["release_year"].is_valid())
    released = dict(zip(known["movie_id"].to_pylist(), known["release_year"].to_pylist(), strict=True))
    year_of_row = np.array([released.get(movie, first) for movie in ratings["movie_id"].to_pylist()])
    age = rated_in - year_of_row
    young, expected = 0, 0.0
    for year in range(first + 1, last - 2):
        mine = age[year_of_row == year]
        at_one, later = int((mine == 1).sum()), int(((mine == 2) | (mine == 3)).sum())
        total = everyone[year + 1 - first : year + 4 - first]
        young += at_one
        expected += later * total[0] / max(int(total[1:].sum()), 1)
    share = ((age <= 1) & (year_of_row > first)).mean()
    return {
        "share of ratings up to the year after release": f"{share:.2f}",
        "rate in the year after release, over the next two": f"{young / expected:.2f}" if expected else "-",
    }


def years(moments: pa.ChunkedArray) -> Int64Array:
    return moments.to_numpy().astype("datetime64[Y]").astype(np.int64) + 1970


def cold_users(rows: LatestRatings) -> float:
    """The share of the test users of a split by one moment in time that have no training ratings."""
    train, test = folds(rows, "global_time")
    users = np.unique(test["user_id"].to_numpy())
    return float(1 - np.isin(users, train["user_id"].to_numpy()).mean())


def folds(rows: LatestRatings, split: str) -> tuple[pa.Table, pa.Table]:
    """The training and the test rows of a split; those of the validation fold are training rows."""
    params = load_config({"split": split}, {}).model_dump(mode="json")
    table = rows.table(split_rows(rows, params).fold, 0, len(rows))
    is_test = pa.array(np.array(table["fold"].to_pylist()) == "test")
    return table.filter(pc.invert(is_test)), table.filter(is_test)


def ranking(rows: LatestRatings, split: str, threads: int) -> Facts:
    """NDCG@10 of the most popular movies and of two models with the default parameters, and how many times more."""
    train, test = folds(rows, split)
    params = load_config({}, {}).model_dump(mode="json")
    dataset = dataset_of(train, test)
    trained: Mapping[str, RankingModel] = {
        "implicit ALS": implicit.train(train, params, threads=threads, log=lambda line: None).model,
        "EASE": models.train_item_weights("ease", dataset.train, params, threads),
    }
    popular = ndcg(popular_lists(dataset), dataset)
    found = {f"NDCG@10 of the most popular, {split}": f"{popular:.3f}"}
    for name, model in trained.items():
        value = ndcg(model_lists(model, dataset, params, threads), dataset)
        found[f"NDCG@10 of {name}, {split}"] = f"{value:.3f} ({value / popular:.2f} times)"
    return found


def dataset_of(train: pa.Table, test: pa.Table) -> EvaluationDataset:
    """The ratings with all users and movies of the training rows known."""
    rows = rating_arrays(train)
    users, movies = (Side.without_factors(np.unique(ids)) for ids in (rows.users, rows.movies))
    genres = pa.table({"movie_id": pa.array([], pa.int32()), "genres": pa.array([], pa.list_(pa.string()))})
    return evaluation_dataset(Model(users, movies), rows, rating_arrays(test), genres)


def popular_lists(dataset: EvaluationDataset) -> Int32Array:
    seen = systems.seen_in_training(dataset)
    order = popularity.best_first(dataset.movie_counts)
    return systems.lists_for_all_users(popularity.first_unseen(order, seen.bounds, seen.movies, 10), dataset)


def model_lists(model: RankingModel, dataset: EvaluationDataset, params: Mapping[str, Any], threads: int) -> Int32Array:
    settings = settings_from_params(dict(params) | {"evaluation_k": [10]}, threads, HALF_LIVES[-1])
    return systems.ranking_model_lists(model, dataset, settings)


def ndcg(lists: Int32Array, dataset: EvaluationDataset) -> float:
    relevant = relevant_by_user(dataset, relevant_rows(dataset, "threshold", LIKED))
    return metric_values(ranking_metrics.ranking_sums(lists, relevant, (10,)))["ndcg@10"].value or math.nan


def generated_facts(name: str, threads: int) -> Facts:
    """The facts of a generated data set of the registry."""
    entry = load_registry(REGISTRY).get(name)
    if not isinstance(entry, GenerateDataset):
        raise ConfigError(f"{name!r} is not a generated data set of {REGISTRY}", "--generated demo")
    with tempfile.TemporaryDirectory() as folder:
        synthetic.generate(Path(folder), entry.spec)
        return facts(Path(folder), threads)


@report_errors
def main() -> int:
    shape = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shape.add_argument("--data", type=Path, required=True, help="folder with the real ratings.csv and movies.csv")
    shape.add_argument(
        "--generated", nargs="+", default=["demo"], metavar="NAME", help=f"data sets of {REGISTRY} (default: demo)"
    )
    arguments = shape.parse_args()
    threads = os.cpu_count() or 1
    real = facts(arguments.data, threads)
    generated = [generated_facts(name, threads) for name in arguments.generated]
    rows = [[name, value, *(found[name] for found in generated)] for name, value in real.items()]
    print(markdown(["Fact", arguments.data.resolve().name, *arguments.generated], rows))
    return 0


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
