"""implicit's AlternatingLeastSquares on the common input: its factors, and the seconds of each iteration.

implicit_kernel.py runs it in .venv-bench-implicit; it does not import this project. The solver is implicit's default
and fastest: conjugate gradients, 3 steps, in its own threads; implicit recommends one thread for BLAS.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix


def main() -> None:
    arguments = argument_parser().parse_args()
    started = time.perf_counter()
    users, movies = (np.load(arguments.inputs / f"{name}.npy") for name in ("users", "movies"))
    rows = confidences(users, movies, arguments.confidence)
    del users, movies
    prepared = time.perf_counter() - started
    model = AlternatingLeastSquares(
        factors=arguments.rank, regularization=arguments.regularization, iterations=arguments.iterations,
        num_threads=arguments.threads, random_state=42,
    )  # fmt: skip
    seconds: list[float] = []
    model.fit(rows, show_progress=False, callback=lambda _, elapsed, __: seconds.append(elapsed))
    np.save(arguments.out / "users.npy", model.user_factors)
    np.save(arguments.out / "movies.npy", model.item_factors)
    text = json.dumps({"prepare": prepared, "iterations": seconds}, indent=1)
    (arguments.out / "seconds.json").write_text(text + "\n", encoding="utf-8")


def confidences(users: np.ndarray, movies: np.ndarray, confidence: float) -> csr_matrix:
    """The same confidence for each pair; users rise."""
    bounds = np.concatenate([[0], np.cumsum(np.bincount(users))]).astype(np.int32)
    values = np.full(len(users), confidence, np.float32)
    return csr_matrix((values, movies, bounds), shape=(len(bounds) - 1, int(movies.max()) + 1))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="folder with users.npy and movies.npy")
    parser.add_argument("--out", type=Path, required=True, help="an existing folder for factors and seconds")
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--confidence", type=float, required=True, help="of an observed pair; that of others is 1")
    parser.add_argument("--regularization", type=float, required=True)
    return parser


if __name__ == "__main__":
    main()
