"""Our implicit ALS with the penalties of implicit_kernel.py: its factors, and the seconds of each iteration.

implicit_kernel.py runs it; its output has the same form as that of peer_implicit_als.py and peer_spark_als.py.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from reco_platform.models.als import native
from reco_platform.models.als.native import HalfStep
from reco_platform.models.als.ratings import Ratings, ratings

WARM_UP_ROWS = 2000
SEED = 42

Floats = npt.NDArray[np.float32]


class Result(NamedTuple):
    """Factors by rising index, shape (users, rank) and (movies, rank), and the seconds of each iteration."""

    users: Floats
    movies: Floats
    seconds: list[float]


def main() -> None:
    arguments = argument_parser().parse_args()
    users, movies = (np.load(arguments.inputs / f"{name}.npy") for name in ("users", "movies"))
    values = np.full(len(users), arguments.target, np.float32)
    # Loads the compiled code.
    fit(ratings(users[:WARM_UP_ROWS], movies[:WARM_UP_ROWS], values[:WARM_UP_ROWS]), arguments)
    started = time.perf_counter()
    both = ratings(users, movies, values)
    del users, movies, values
    prepared = time.perf_counter() - started
    found = fit(both, arguments)
    for name in ("users", "movies"):
        np.save(arguments.out / f"{name}.npy", getattr(found, name))
    text = json.dumps({"prepare": prepared, "iterations": found.seconds}, indent=1)
    (arguments.out / "seconds.json").write_text(text + "\n", encoding="utf-8")


def fit(both: Ratings, arguments: argparse.Namespace) -> Result:
    """The iterations of `native.train` with penalties that it does not offer.

    The peers do not add the unobserved pairs to a row's penalty. Everything else is that of `native.train`: initial
    factors, solver, pieces and threads.
    """
    rank, weight = arguments.rank, arguments.unobserved_weight
    sides = (both.by_user, both.by_movie)
    users, movies = (
        native.initial_factors(rows, rank, (SEED, number), native.IMPLICIT_LENGTH) for number, rows in enumerate(sides)
    )
    user_penalties, movie_penalties = (
        arguments.penalty * (rows.counts if arguments.by_count else np.ones(len(rows))).astype(np.float32)
        for rows in sides
    )
    seconds = []
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(arguments.threads) as pool:
        for iteration in range(1, arguments.iterations + 1):
            started = time.perf_counter()
            settings = native.solver_settings("cg", rank, iteration)
            terms = HalfStep(users, native.base_of(pool, users, weight), movie_penalties.astype(np.float32))
            native.solve_side(pool, both.by_movie, terms, movies, settings)
            terms = HalfStep(movies, native.base_of(pool, movies, weight), user_penalties.astype(np.float32))
            native.solve_side(pool, both.by_user, terms, users, settings)
            seconds.append(time.perf_counter() - started)
    by_index = native.by_rising_index
    return Result(by_index(both.by_user, users, rank), by_index(both.by_movie, movies, rank), seconds)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="folder with users.npy and movies.npy")
    parser.add_argument("--out", type=Path, required=True, help="an existing folder for factors and seconds")
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--target", type=float, required=True, help="value of an observed pair")
    parser.add_argument("--unobserved-weight", type=float, required=True)
    parser.add_argument("--penalty", type=float, required=True, help="of each row")
    parser.add_argument("--by-count", action="store_true", help="times the row's number of observed pairs")
    return parser


if __name__ == "__main__":
    main()
