"""implicit on the common input: seconds of its top-N on given factors, and of its own ALS for orientation.

run.py runs it in .venv-bench-implicit; it does not import this project. Its ALS solves a different problem (implicit
feedback, in which every pair of user and item counts), so the times are not a comparison of the same work.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from pathlib import Path

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase
from scipy.sparse import csr_matrix


class FixedFactors(MatrixFactorizationBase):
    """A model with given factors; recommend() is implicit's."""

    def __init__(self, users: np.ndarray, movies: np.ndarray, threads: int) -> None:
        super().__init__(num_threads=threads)
        self.user_factors, self.item_factors = users, movies

    def fit(self, *_: object, **__: object) -> None:
        raise NotImplementedError

    def save(self, *_: object) -> None:
        raise NotImplementedError


def main() -> None:
    arguments = argument_parser().parse_args()
    stages: dict[str, float] = {}
    seen = seen_ratings(arguments.inputs)
    for kind in arguments.factors:
        folder = arguments.inputs / kind
        model = FixedFactors(np.load(folder / "users.npy"), np.load(folder / "movies.npy"), arguments.threads)
        stages[f"topk {kind}, seen left out"] = recommend(model, seen, arguments.top_n, exclude_seen=True)
        stages[f"topk {kind}, seen kept"] = recommend(model, seen, arguments.top_n, exclude_seen=False)
    if arguments.iterations:
        als = AlternatingLeastSquares(
            factors=arguments.rank, iterations=arguments.iterations, num_threads=arguments.threads, random_state=42
        )
        started = time.perf_counter()
        als.fit(seen, show_progress=False)
        stages["implicit ALS"] = round(time.perf_counter() - started, 3)
    found = {"stages": stages, "version": importlib.metadata.version("implicit")}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def seen_ratings(inputs: Path) -> csr_matrix:
    """The training ratings with a row for each user of the factors."""
    parts = [np.load(inputs / f"seen_{name}.npy") for name in ("values", "indices", "indptr")]
    movies = len(np.load(inputs / "trained" / "movies.npy", mmap_mode="r"))
    return csr_matrix(tuple(parts), shape=(len(parts[2]) - 1, movies))


def recommend(model: FixedFactors, seen: csr_matrix, n: int, *, exclude_seen: bool) -> float:
    users = np.arange(seen.shape[0])
    started = time.perf_counter()
    model.recommend(users, seen, N=n, filter_already_liked_items=exclude_seen)
    return round(time.perf_counter() - started, 3)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="folder with factors and seen_*.npy")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--factors", nargs="+", default=["trained", "isotropic"], help="folders with factors")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rank", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=10, help="of implicit's ALS; 0: none")
    parser.add_argument("--top-n", type=int, default=10)
    return parser


if __name__ == "__main__":
    main()
