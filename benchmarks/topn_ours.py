"""Our top-N alone, on the same factors as implicit: seconds without and with the seen items.

run.py runs it; its output has the same form as that of peer_implicit.py.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from reco_platform.models.als.model import Model, Side
from reco_platform.models.topn.exact import seen_by_id, top_n

WARM_UP_ROWS = 512


def main() -> None:
    arguments = argument_parser().parse_args()
    pairs = seen_pairs(arguments.inputs)
    none = (pairs[0][:0], pairs[1][:0])
    stages: dict[str, float] = {}
    for kind in arguments.factors:
        model = load_model(arguments.inputs / kind)
        small = load_model(arguments.inputs / kind, WARM_UP_ROWS)
        top_n(small, arguments.top_n, seen_by_id(small, *none), arguments.threads)  # loads the compiled code
        stages[f"topk {kind}, seen left out"] = seconds(model, pairs, arguments)
        stages[f"topk {kind}, seen kept"] = seconds(model, none, arguments)
    arguments.out.write_text(json.dumps({"stages": stages}, indent=1) + "\n", encoding="utf-8")


def load_model(folder: Path, rows: int | None = None) -> Model:
    sides = [np.load(folder / f"{name}.npy")[:rows] for name in ("users", "movies")]
    users, movies = (Side(np.arange(len(factors), dtype=np.int32), factors) for factors in sides)
    return Model(users, movies)


def seen_pairs(inputs: Path) -> tuple[np.ndarray, np.ndarray]:
    """User and movie of each training rating, as positions in the factors."""
    indptr, movies = (np.load(inputs / f"seen_{name}.npy") for name in ("indptr", "indices"))
    return np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr)), movies


def seconds(model: Model, pairs: tuple[np.ndarray, np.ndarray], arguments: argparse.Namespace) -> float:
    """Seconds of the search alone: the seen movies are prepared before, as for implicit."""
    seen = seen_by_id(model, *pairs)
    started = time.perf_counter()
    top_n(model, arguments.top_n, seen, arguments.threads)
    return round(time.perf_counter() - started, 3)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="folder with factors and seen_*.npy")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--factors", nargs="+", default=["trained", "isotropic"], help="folders with factors")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--top-n", type=int, default=10)
    return parser


if __name__ == "__main__":
    main()
