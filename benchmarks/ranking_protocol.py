"""Ranking systems by the protocol of the published comparisons on ML-20M, beside the published figures.

    python benchmarks/ranking_protocol.py --dataset ml-20m
    python benchmarks/ranking_protocol.py --data FOLDER_WITH_RATINGS_CSV --tune

The protocol is that of Liang, Krishnan, Hoffman, Jebara 2018 (Variational Autoencoders for Collaborative Filtering,
section 4), which Steck 2019 and Rendle, Krichene, Zhang, Koren 2021 follow too:

- Ratings of 4 and more count, of users with five or more of them.
- Test users and as many validation users are chosen at random; systems learn from the other users alone. Movies that
  these have not rated are left out.
- 80% of a held-out user's movies, at random, are given to the system; the others are to be found among all movies that
  are not given. Users with fewer than five known movies have none to find, and are not evaluated.
- Recall@20 and Recall@50, divided by min(k, movies to find), and NDCG@100 with binary relevance; means over users.

Held-out users and movies are drawn as the authors' programs draw them (numpy's legacy generator, seed 98765, users and
movies by rising id), so that on ML-20M they should be the same as in the papers.

Parameters are those published for ML-20M, or with --tune those of a small grid with the best NDCG@100 on the validation
users. The test users choose nothing.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import common
import numpy as np
import numpy.typing as npt
import psutil
from common import RESULTS, log_line
from rating_data import ratings_file, read_ratings

from reco_platform.core.errors import ConfigError, DataError, RecoError, report_errors
from reco_platform.models import popularity
from reco_platform.models.als import native
from reco_platform.models.als.model import Model, Side
from reco_platform.models.als.ratings import ratings as ratings_by_row
from reco_platform.models.ranking.fold_in import fixed_movies, fold_in, user_positives
from reco_platform.models.ranking.models import RankingModel, lists, train_item_weights
from reco_platform.models.topn.exact import TopN
from reco_platform.splits.latest import LatestRatings

MIN_RATING, MIN_USER_RATINGS = 4.0, 5
HIDDEN_SHARE = 5  # one of five movies is to be found
SEED = 98765
MAX_HELD_OUT, HELD_OUT_SHARE = 10_000, 5
LIST_LENGTH = 100
METRICS = ("Recall@20", "Recall@50", "NDCG@100")
BYTES_PER_WEIGHT = 40
"""Peak memory of EASE and item-kNN for each pair of movies: five float64 matrices."""

LARGE_RANK, RANK = 512, 128
PUBLISHED_ON = "ml-20m"
PUBLISHED = {
    "EASE^R": ((0.391, 0.521, 0.420), "Steck 2019"),
    "iALS": ((0.395, 0.532, 0.425), "Rendle et al. 2021, table 3; 2,048 factors"),
    "Mult-VAE": ((0.395, 0.537, 0.426), "Liang et al. 2018"),
}

Integers = npt.NDArray[np.int32]
PerUser = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Interactions:
    """Positives as arrays of equal length; see `models.ranking.models.Interactions`.

    Attributes:
        users: numbered from 0.
        movies: numbered from 0, by rising id.
    """

    users: Integers
    movies: Integers

    @property
    def ratings(self) -> npt.NDArray[np.float32]:
        return np.ones(len(self.users), np.float32)

    @property
    def moments(self) -> npt.NDArray[np.int64]:
        return np.zeros(len(self.users), np.int64)


@dataclass(frozen=True)
class HeldOut:
    """The evaluated users of a held-out part, by rising id.

    Attributes:
        user_ids: shape (users,).
        given: what the system may see.
        hidden: what is to be found, at least one movie for each user.
    """

    user_ids: Integers
    given: Interactions
    hidden: Interactions


@dataclass(frozen=True)
class Split:
    """The parts of the protocol.

    Attributes:
        movie_ids: of the training movies, rising, shape (movies,).
        train: positives of the training users.
        validation, test: held-out users.
    """

    movie_ids: Integers
    train: Interactions
    validation: HeldOut
    test: HeldOut


Params = Mapping[str, Any]
Trained = Callable[[HeldOut], RankingModel]
"""A trained system: the model with which lists of held-out users can be computed."""


class System(NamedTuple):
    """A ranking system.

    Attributes:
        train: from training positives, the number of movies, parameters and threads.
        params: the parameters without tuning.
        grid: the values that --tune tries.
        source: of the parameters.
    """

    train: Callable[[Interactions, int, Params, int], Trained]
    params: Params
    grid: Mapping[str, Sequence[Any]]
    source: str


# --- the protocol


def split(rows: LatestRatings, held_out: int | None = None, seed: int = SEED) -> Split:
    """The training, validation and test users.

    Args:
        rows: all ratings.
        held_out: number of test users and of validation users; default the smaller of MAX_HELD_OUT and one of
            HELD_OUT_SHARE users.
        seed: of the random choices.

    Raises:
        DataError: if too few users are left.
    """
    user = np.repeat(np.arange(len(rows.users)), np.diff(rows.starts))
    liked = rows.ratings >= MIN_RATING
    enough = np.bincount(user[liked], minlength=len(rows.users)) >= MIN_USER_RATINGS
    chosen = np.flatnonzero(enough)
    held_out = min(MAX_HELD_OUT, len(chosen) // HELD_OUT_SHARE) if held_out is None else held_out
    if held_out < 1 or len(chosen) <= 2 * held_out:
        raise DataError(
            f"{len(chosen):,} users have {MIN_USER_RATINGS} or more ratings of at least {MIN_RATING:g}, "
            f"too few to hold out {held_out:,} for validation and as many for test",
            "use a larger data set or a smaller --held-out",
        )
    order = chosen[np.random.RandomState(seed).permutation(len(chosen))]
    part = np.full(len(rows.users), -1)  # -1: left out, 0: training, 1: validation, 2: test
    part[order] = np.repeat([0, 1, 2], [len(order) - 2 * held_out, held_out, held_out])
    row_part = np.where(liked, part[user], -1)
    movie_index, movie = np.unique(rows.movie_index[row_part == 0], return_inverse=True)
    number = np.full(len(rows.movies), -1)
    number[movie_index] = np.arange(len(movie_index))

    def held(which: int) -> HeldOut:
        at = np.flatnonzero((row_part == which) & (number[rows.movie_index] >= 0))
        found = held_out_part(rows.users[user[at]], number[rows.movie_index[at]].astype(np.int32), seed)
        if not len(found.user_ids):
            raise DataError(
                f"no held-out user has rated {MIN_USER_RATINGS} movies of the training users",
                "use a larger data set or a larger --held-out",
            )
        return found

    train = Interactions(numbered(user[row_part == 0])[1], movie.astype(np.int32))
    return Split(rows.movies[movie_index], train, held(1), held(2))


def numbered(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Integers]:
    """The distinct values in rising order, and the number of each value among them."""
    distinct, number = np.unique(values, return_inverse=True)
    return distinct, number.astype(np.int32)


def held_out_part(user_ids: Integers, movies: Integers, seed: int) -> HeldOut:
    """Hides one of HIDDEN_SHARE movies of each user, rounded down; rows are sorted by user and movie."""
    random = np.random.RandomState(seed)
    ids, user = numbered(user_ids)
    counts = np.bincount(user, minlength=len(ids))
    is_hidden = np.zeros(len(user), bool)
    for start, count in zip(np.cumsum(counts) - counts, counts, strict=True):
        if count >= MIN_USER_RATINGS:
            is_hidden[start + random.choice(count, size=count // HIDDEN_SHARE, replace=False)] = True
    evaluated = counts >= MIN_USER_RATINGS
    place = (np.cumsum(evaluated) - 1).astype(np.int32)[user]
    parts = (Interactions(place[rows], movies[rows]) for rows in (evaluated[user] & ~is_hidden, is_hidden))
    return HeldOut(ids[evaluated], *parts)


def metrics(found: TopN, hidden: Interactions, users: int) -> PerUser:
    """The metrics of each user, shape (users,).

    Args:
        found: lists of at most LIST_LENGTH movies, best first.
        hidden: the movies to find, at least one of each user.
        users: number of users.
    """
    lengths = np.diff(found.offsets)
    user = np.repeat(np.arange(users), lengths)
    rank = np.arange(len(user)) - np.repeat(found.offsets[:-1], lengths)
    movies = max(found.movie_ids.max(initial=0), hidden.movies.max(initial=0)) + 1
    hit = np.isin(user * movies + found.movie_ids, hidden.users.astype(np.int64) * movies + hidden.movies)
    relevant = np.bincount(hidden.users, minlength=users)
    gains = 1 / np.log2(np.arange(LIST_LENGTH) + 2)
    ideal = np.cumsum(gains)[np.minimum(relevant, LIST_LENGTH) - 1]

    def recall(k: int) -> npt.NDArray[np.float64]:
        return np.bincount(user[hit & (rank < k)], minlength=users) / np.minimum(k, relevant)

    ndcg = np.bincount(user[hit], weights=gains[rank[hit]], minlength=users) / ideal
    return dict(zip(METRICS, (recall(20), recall(50), ndcg), strict=True))


def summary(values: npt.NDArray[np.float64]) -> dict[str, float]:
    """The mean over users, and its standard error, computed as in Liang et al. 2018."""
    return {"mean": float(values.mean()), "standard_error": float(values.std() / np.sqrt(len(values)))}


def evaluate(trained: Trained, part: HeldOut, threads: int) -> PerUser:
    """The metrics of each held-out user for a trained system."""
    users = np.arange(len(part.user_ids), dtype=np.int32)
    found = lists(trained(part), users, part.given, ALL_POSITIVES, n=LIST_LENGTH, threads=threads)
    return metrics(found, part.hidden, len(users))


# --- the systems

ALL_POSITIVES: Params = {"positives": "all", "positive_half_life": None}


def train_popular(train: Interactions, movies: int, params: Params, threads: int) -> Trained:
    counts = popularity.popularity(train.movies, movies).astype(np.float32)[:, None]
    return lambda part: Model(side(np.ones((len(part.user_ids), 1), np.float32)), side(counts))


def side(factors: npt.NDArray[np.float32]) -> Side:
    return Side(np.arange(len(factors), dtype=np.int32), factors)


def item_weights_of(kind: str) -> Callable[[Interactions, int, Params, int], Trained]:
    def train_weights(train: Interactions, movies: int, params: Params, threads: int) -> Trained:
        check_memory(min(movies, params["max_items"]))
        model = train_item_weights(kind, train, {**ALL_POSITIVES, **params}, threads)
        return lambda part: model

    return train_weights


def check_memory(movies: int) -> None:
    """Raises ConfigError if a matrix of weights between so many movies does not fit into memory."""
    needed, available = BYTES_PER_WEIGHT * movies**2, psutil.virtual_memory().available
    if needed > available:
        raise ConfigError(
            f"weights between {movies:,} movies need {needed / 2**30:.1f} GiB of memory, and "
            f"{available / 2**30:.1f} are available",
            f"--max-items {int((available / BYTES_PER_WEIGHT) ** 0.5)}",
        )


def train_implicit(train: Interactions, movies: int, params: Params, threads: int) -> Trained:
    """Implicit ALS; the factors of held-out users come from their given movies by fold-in."""
    shared = {name: params[name] for name in ("reg_param", "unobserved_weight")}
    rows = ratings_by_row(train.users, train.movies, None)
    factors = native.train(
        rows, rank=params["rank"], max_iter=params["max_iter"], seed=params["seed"], threads=threads, **shared
    )
    fixed = fixed_movies(factors.movies, **shared)

    def fold_in_part(part: HeldOut) -> Model:
        given = user_positives(part.given.users, part.given.movies, None, None, len(part.user_ids))
        return Model(side(fold_in(given, fixed, threads)), side(factors.movies))

    return fold_in_part


def systems(rank: int, max_items: int, seed: int) -> dict[str, System]:
    """The systems by name, with the parameters that were published for ML-20M."""
    return {
        "most popular": System(train_popular, {}, {}, "has no parameters"),
        "item-kNN": System(
            item_weights_of("item_knn"), {"max_items": max_items, "knn_neighbours": 100, "knn_shrink": 20.0},
            {"knn_neighbours": (20, 50, 100, 200), "knn_shrink": (0.0, 20.0, 100.0)}, "defaults of config.yaml",
        ),
        "EASE": System(
            item_weights_of("ease"), {"max_items": max_items, "ease_reg": 500.0},
            {"ease_reg": (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)}, "Steck 2019",
        ),
        "implicit ALS": System(
            train_implicit,
            {"rank": rank, "max_iter": 16, "reg_param": 0.003, "unobserved_weight": 0.1, "seed": seed},
            {"unobserved_weight": (0.03, 0.1, 0.3, 1.0), "reg_param": (0.001, 0.003, 0.01, 0.03)},
            "Rendle et al. 2021 and their program's README, but for the number of factors",
        ),
    }  # fmt: skip


# --- the benchmark


@report_errors
def main() -> None:
    arguments = argument_parser().parse_args()
    name = arguments.data.resolve().name if arguments.data else common.SIZES.get(arguments.dataset, arguments.dataset)
    rows = read_ratings(ratings_file(name, arguments.data), arguments.cores)
    parts = split(rows, arguments.held_out, arguments.seed)
    log_line(size_line(parts))
    rank = arguments.rank or (LARGE_RANK if name == PUBLISHED_ON else RANK)
    known = systems(rank, arguments.max_items, seed=42)
    found = {
        "machine": common.describe_machine(),
        "dataset": name,
        "size": size_line(parts),
        "seed": arguments.seed,
        "tuned": arguments.tune,
        "systems": {one: run_system(one, known[one], parts, arguments) for one in known if one in arguments.only},
    }
    common.save(arguments.out or RESULTS / f"ranking-{name}", found, report(found))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(systems(1, 1, 0))
    parser.add_argument("--dataset", default="generated-1m", help="an entry of config/datasets.yaml, or 1m, 5m, 25m")
    parser.add_argument("--data", type=Path, help="a folder with ratings.csv, instead of --dataset")
    parser.add_argument("--held-out", type=int, help="number of test users, and of validation users "
                       f"(default: {MAX_HELD_OUT:,}, at most one of {HELD_OUT_SHARE} users)")  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=SEED, help="of the held-out users and movies (default: %(default)s)"
    )
    parser.add_argument("--tune", action="store_true", help="choose parameters by NDCG@100 on the validation users")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="SYSTEM",
                       help=f"which systems: {', '.join(names)}")  # fmt: skip
    parser.add_argument("--rank", type=int,
                       help=f"factors of implicit ALS (default: {RANK}, on {PUBLISHED_ON} {LARGE_RANK})")  # fmt: skip
    parser.add_argument("--max-items", type=int, default=25_000, help="most rated movies that EASE and item-kNN know")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="where the results go, without suffix")
    return parser


def size_line(parts: Split) -> str:
    train, test = parts.train, parts.test
    return (
        f"{len(train.users):,} positives of {train.users.max() + 1:,} training users and {len(parts.movie_ids):,} "
        f"movies; {len(parts.validation.user_ids):,} validation users; {len(test.user_ids):,} test users with "
        f"{len(test.given.users):,} given and {len(test.hidden.users):,} hidden movies"
    )


def run_system(name: str, system: System, parts: Split, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of a system; one that cannot run is reported with the reason."""
    started = time.perf_counter()
    try:
        params, tried = tune(system, parts, arguments.cores) if arguments.tune else (system.params, [])
        tuned = time.perf_counter()
        trained = system.train(parts.train, len(parts.movie_ids), params, arguments.cores)
        fitted = time.perf_counter()
        test = {key: summary(values) for key, values in evaluate(trained, parts.test, arguments.cores).items()}
    except RecoError as error:
        log_line(f"{name}: {error.message}")
        return {"failure": str(error)}
    seconds = {"tune": tuned - started, "train": fitted - tuned, "evaluate": time.perf_counter() - fitted}
    log_line(f"{name}: " + ", ".join(f"{key} {one['mean']:.4f}" for key, one in test.items()))
    source = "best on the validation users" if tried else system.source
    return {"params": dict(params), "source": source, "tried": tried, "test": test, "seconds": seconds}


def tune(system: System, parts: Split, threads: int) -> tuple[Params, list[dict[str, Any]]]:
    """The parameters with the best NDCG@100 on the validation users, the first of equal ones, and all tried ones."""
    if not system.grid:
        return system.params, []
    tried = []
    for values in itertools.product(*system.grid.values()):
        params = {**system.params, **dict(zip(system.grid, values, strict=True))}
        trained = system.train(parts.train, len(parts.movie_ids), params, threads)
        ndcg = float(evaluate(trained, parts.validation, threads)[METRICS[-1]].mean())
        tried.append({"params": params, "validation": ndcg})
        log_line(f"validation {METRICS[-1]} {ndcg:.4f}: {params_text(params, system.grid)}")
    return max(tried, key=lambda one: one["validation"])["params"], tried


def params_text(params: Params, names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {params[name]:g}" for name in names)


def report(found: Mapping[str, Any]) -> str:
    """The figures of all systems, and for ML-20M those that were published."""
    ran = {name: one for name, one in found["systems"].items() if "failure" not in one}
    rows = [
        [name, *(figure(one["test"][key]) for key in METRICS),
         params_text(one["params"], [key for key in one["params"] if key not in {"seed", "max_items"}]),
         one["source"], one["seconds"]["train"]]
        for name, one in ran.items()
    ]  # fmt: skip
    parts = [
        f"{found['dataset']}: {found['size']}; seed {found['seed']}; {common.machine_line(found['machine'])}.\n",
        common.table(["", *METRICS, "parameters", "their source", "training, s"], rows),
    ]
    if found["dataset"] == PUBLISHED_ON:
        published = [
            [name, *(f"{value:.3f}" for value in values), where] for name, (values, where) in PUBLISHED.items()
        ]
        parts.append("Published on ML-20M:\n")
        parts.append(common.table(["", *METRICS, "source"], published))
    elif not found["tuned"]:
        parts.append("The parameters were published for ML-20M; --tune chooses those of this data set.\n")
    parts += [f"{name} did not run: {one['failure']}\n" for name, one in found["systems"].items() if "failure" in one]
    return "\n".join(parts)


def figure(one: Mapping[str, float]) -> str:
    return f"{one['mean']:.4f} ± {one['standard_error']:.4f}"


if __name__ == "__main__":
    raise SystemExit(main())
