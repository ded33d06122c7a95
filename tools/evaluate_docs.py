"""Writes docs/evaluation.md: every system on three splits of a real data set, and what min_item_ratings does.

python tools/evaluate_docs.py --data ../shared/data/ml-latest-small
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reco_platform.cleaning import movies as movies_csv
from reco_platform.cleaning import ratings as ratings_csv
from reco_platform.cleaning.native import cleaned_table
from reco_platform.config.load import load_config
from reco_platform.core import terminal
from reco_platform.core.errors import report_errors
from reco_platform.evaluation.dataset import rating_arrays
from reco_platform.evaluation.evaluate import evaluate
from reco_platform.evaluation.half_life import choose_half_life
from reco_platform.evaluation.settings import settings_from_params
from reco_platform.models.als import training
from reco_platform.models.als.model import Model
from reco_platform.models.ranking import implicit, models
from reco_platform.reports.text_summary import interval
from reco_platform.splits import interactions
from reco_platform.splits.latest import LatestRatings, latest_ratings
from reco_platform.splits.split import split as split_rows
from reco_platform.store.atomic_write import write_text

PAGE = Path("docs/evaluation.md")
SPLITS = {
    "random 80/20": {"split": "random"},
    "last 20% of each user": {"split": "user_time"},
    "global time": {"split": "global_time"},
}
GRID = tuple(product((10, 50, 100), (0.05, 0.1, 0.15, 0.2)))  # rank, reg_param
SUPPORTS = (1, 5, 20)
NEWCOMERS, KNOWN_RATINGS = 100, 5
RATED = {"biases": "biases", "als_plain": "plain ALS", "als": "ALS on bias residuals"}
RANKED = {
    "popular": "most popular", "popular_recent": "most popular lately", "als": "rating model", "item_knn": "item-kNN",
    "ease": "EASE", "implicit": "implicit ALS",
}  # fmt: skip
PROPERTIES = ("ndcg@10", "recall@20", "novelty@10", "catalogue_coverage@10", "gini@10")


@dataclass(frozen=True)
class Data:
    """A cleaned data set: its rating rows, and movie_id and genres of its movies."""

    rows: LatestRatings
    genres: pa.Table


def load(folder: Path, threads: int) -> Data:
    cleaned = {
        name: cleaned_table(folder / f"{name}.csv", rules, threads)
        for name, rules in (("ratings", ratings_csv.CLEANING), ("movies", movies_csv.CLEANING))
    }
    wanted = cleaned["ratings"].select(["user_id", "movie_id", "rating", "rating_ts"])
    return Data(latest_ratings(wanted, threads), cleaned["movies"].select(["movie_id", "genres"]))


def folds(data: Data, changed: Mapping[str, Any]) -> tuple[pa.Table, pa.Table]:
    """The training and the test rows of a split."""
    params = load_config(changed, {}).model_dump(mode="json")
    fold = split_rows(data.rows, params).fold
    table = data.rows.table(fold, 0, len(data.rows))
    names = np.array(table["fold"].to_pylist())
    return table.filter(pa.array(names != interactions.TEST)), table.filter(pa.array(names == interactions.TEST))


def trained(train: pa.Table, *, biased: bool, rank: int, reg_param: float, threads: int) -> Model:
    """The model that train_als would make of these rows."""
    params = DEFAULTS.model_dump(mode="json") | {"rank": rank, "reg_param": reg_param, "biased": biased}
    return training.train(train, params, threads=threads, log=lambda line: None).model


def judged(train: pa.Table, test: pa.Table, data: Data, threads: int, least: int = 1) -> dict[str, Any]:
    """The evaluation with the default parameters."""
    kept = training.with_enough_ratings(train, 1, least)
    model, plain = (
        trained(kept, biased=biased, rank=DEFAULTS.rank, reg_param=DEFAULTS.reg_param, threads=threads)
        for biased in (True, False)
    )
    params = DEFAULTS.model_dump(mode="json") | {"ranking_model": "implicit"}
    ranking = implicit.train(kept, params, threads=threads, log=lambda line: None).model
    settings = settings_from_params(params, threads, chosen_half_life(train))
    return evaluate(model, plain, ranking, *map(rating_arrays, (kept, test)), genres=data.genres, settings=settings)


def chosen_half_life(train: pa.Table) -> int:
    """That of the popularity of late, by the validation fold among the training rows."""
    names = np.array(train["fold"].to_pylist())
    known, validation = (rating_arrays(train.filter(pa.array(names == fold))) for fold in interactions.TRAINING)
    return choose_half_life(known, validation, DEFAULTS.scale.liked_rating)


def best_plain(train: pa.Table, test: pa.Table, threads: int) -> float:
    """The least clipped RMSE of plain ALS over the grid; chosen on the test rows themselves, in its favour."""
    low, high = (float(getattr(train["rating"].to_numpy(), bound)()) for bound in ("min", "max"))
    truth, users, movies = (test[name].to_numpy() for name in ("rating", "user_id", "movie_id"))
    errors = []
    for rank, reg_param in GRID:
        predicted = trained(train, biased=False, rank=rank, reg_param=reg_param, threads=threads).predict(users, movies)
        errors.append(float(np.sqrt(np.nanmean((truth - np.clip(predicted, low, high)) ** 2))))
    return min(errors)


# --- the page


def page(data: Data, name: str, threads: int) -> str:
    parts = {split: folds(data, changed) for split, changed in SPLITS.items()}
    found = {split: judged(*part, data, threads) for split, part in parts.items()}
    best = {split: best_plain(*part, threads) for split, part in parts.items()}
    support = support_table(parts["random 80/20"], data, threads)
    newcomers = newcomer_table(data, threads)
    sections = [rating_table(found, best), ranking_table(found), list_table(found), newcomers, support]
    return "\n\n".join([INTRODUCTION.format(name=name), *sections, CLOSING]) + "\n"


def rating_table(found: Mapping[str, Any], best: Mapping[str, float]) -> str:
    header = ["Split", "known rows", *RATED.values(), f"plain ALS, best of {len(GRID)} settings"]
    rows = []
    for split, one in found.items():
        share = 1 - one["folds"]["cold_row_share"]
        cells = [interval(one["systems"][system]["rmse_warm_clipped"]) for system in RATED]
        rows.append([split, f"{share:.3f}", *cells, f"{best[split]:.4f}"])
    return f"## Rating error\n\n{RATING_CAPTION}\n\n{markdown(header, rows)}"


def ranking_table(found: Mapping[str, Any]) -> str:
    header = ["Split", "evaluated users", *RANKED.values()]
    rows = [
        [split, f"{one['folds']['ranked_users']:,}", *(interval(one["systems"][name]["ndcg@10"]) for name in RANKED)]
        for split, one in found.items()
    ]
    return "## Ranking\n\nNDCG@10, relevant from 4.0 stars, all known movies except seen ones as candidates.\n\n" + (
        markdown(header, rows)
    )


def list_table(found: Mapping[str, Any]) -> str:
    """What the lists of each system are like, besides how often they are right."""
    rows = []
    for split, one in found.items():
        for name, title in RANKED.items():
            values = {**one["systems"][name], **one["catalogue"][name]}
            rows.append([split, title, *(f"{values[metric]['value']:.3f}" for metric in PROPERTIES)])
    header = ["Split", "System", "NDCG@10", "recall@20", "novelty@10, bits", "coverage@10", "Gini@10"]
    return f"## Lists\n\n{LIST_CAPTION}\n\n{markdown(header, rows)}"


def newcomer_table(data: Data, threads: int) -> str:
    """How many ratings the recommended movies have, for users of whom only a few ratings are known."""
    table = data.rows.table(np.zeros(len(data.rows), np.int8), 0, len(data.rows))
    user = table["user_index"].to_numpy()
    place = np.arange(len(user)) - np.searchsorted(user, user)
    known = table.filter(pa.array((user >= NEWCOMERS) | (place < KNOWN_RATINGS)))
    counts = np.bincount(known["movie_id"].to_numpy())
    rows, params = rating_arrays(known), DEFAULTS.model_dump(mode="json")
    users = np.unique(rows.users[rows.user_index < NEWCOMERS])
    lines = []
    for title, train in (("rating model", training.train), ("implicit ALS", implicit.train)):
        model = train(known, params, threads=threads, log=lambda line: None).model
        found = counts[models.lists(model, users, rows, params, n=10, threads=threads).movie_ids]
        least, low, middle = np.percentile(found, [0, 5, 50])
        lines.append([title, f"{least:.0f}", f"{low:.0f}", f"{middle:.0f}", f"{(found < 10).mean():.1%}"])
    header = ["Model", "least", "5th percentile", "median", "below 10 ratings"]
    return f"## Users with few ratings\n\n{NEWCOMER_CAPTION}\n\n{markdown(header, lines)}"


def support_table(part: tuple[pa.Table, pa.Table], data: Data, threads: int) -> str:
    header = [
        "min_item_ratings",
        "movies",
        "NDCG@10",
        "novelty@10, bits",
        "coverage@10",
        "RMSE, known rows",
        "known rows",
    ]
    rows = []
    for least in SUPPORTS:
        one = judged(*part, data, threads, least)
        als = one["systems"]["als"]
        rows.append(
            [
                str(least),
                f"{one['folds']['catalogue']:,}",
                interval(als["ndcg@10"]),
                f"{als['novelty@10']['value']:.2f}",
                f"{one['catalogue']['als']['catalogue_coverage@10']['value']:.3f}",
                interval(als["rmse_warm_clipped"]),
                f"{1 - one['folds']['cold_row_share']:.3f}",
            ]
        )
    return "## Movies with few ratings\n\nALS on bias residuals, random split.\n\n" + markdown(header, rows)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


DEFAULTS = load_config({}, {})
RATING_CAPTION = (
    "RMSE on the known rows (user and movie both have training ratings), clipped to the range of the training ratings."
)
NEWCOMER_CAPTION = (
    f"Ratings of the movies that are recommended to {NEWCOMERS} users of whom the first {KNOWN_RATINGS} ratings are "
    "known, by models trained on these and on all ratings of the other users, as a refit is."
)
LIST_CAPTION = (
    "A system can win by showing everybody the same movies: a Gini index near 1 and a small coverage say so. Item-kNN "
    "and EASE know the `max_items` most rated movies."
)
INTRODUCTION = """# Evaluation on real data
<!-- Written by `make evaluate-docs`; do not edit. -->

{name}, with the default parameters. Brackets contain 95% intervals over 1,000 resamples of users.
[metrics.md](metrics.md) defines every number; `run_metrics_<version>.json` of each run has many more.

    make evaluate-docs DATA=../shared/data/ml-latest-small"""
CLOSING = """## How to read this
- A split by time leaves few rows that a model can know. Read the share of known rows beside every error.
- With the same parameters, ALS on bias residuals has a smaller error than plain ALS on every split. Plain ALS has a
  larger error than the biases alone on all three.
- A small rating error does not make a good list. The most popular movies are a hard baseline for ranking, and ALS
  trained on ratings alone loses to it. So another model orders the lists; [ranking.md](ranking.md) explains it.
- On a split by global time few users can be judged, and its intervals are wide. Recent popularity matters there more
  than taste. Compare models of taste on `user_time` or `random`.
- `min_item_ratings` keeps movies with one or two ratings, whose factors are mostly chance, out of lists. It also
  leaves fewer movies to find and fewer rows to evaluate on, so compare such figures with care.
- A time split stops before the newest users and movies. So the served model is trained once more on all ratings after
  the evaluation (`refit`), and the metrics name the evaluated and the served version."""


@report_errors
def main() -> int:
    shape = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shape.add_argument("--data", type=Path, required=True, help="folder with ratings.csv and movies.csv")
    shape.add_argument("--out", type=Path, default=PAGE)
    arguments = shape.parse_args()
    threads = os.cpu_count() or 1
    text = page(load(arguments.data, threads), arguments.data.resolve().name, threads)
    write_text(arguments.out, text)
    print(arguments.out)
    return 0


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
