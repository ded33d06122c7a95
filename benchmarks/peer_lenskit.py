"""LensKit's BiasedMF on the common input: seconds to build its dataset and to fit, and RMSE on warm test rows.

run.py runs it in .venv-bench-lenskit; it does not import this project. LK_NUM_THREADS sets the number of threads.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from lenskit.als import BiasedMFScorer
from lenskit.data import Dataset, DatasetBuilder
from lenskit.parallel import ensure_parallel_init
from lenskit.training import TrainingOptions


def main() -> None:
    arguments = argument_parser().parse_args()
    rows = pq.read_table(arguments.inputs / "interactions.parquet")
    is_test = pc.equal(rows["fold"], "test")
    train, test = rows.filter(pc.invert(is_test)), rows.filter(is_test)
    ensure_parallel_init()
    started = time.perf_counter()
    dataset = build(train)
    built = time.perf_counter()
    model = BiasedMFScorer(
        embedding_size=arguments.rank, epochs=arguments.iterations, regularization=arguments.reg_param
    )
    model.train(dataset, TrainingOptions(rng=42))
    fitted = time.perf_counter()
    found = {
        "stages": {"build": round(built - started, 3), "fit": round(fitted - built, 3)},
        **evaluate(model, test),
        "version": importlib.metadata.version("lenskit"),
    }
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def build(train: pa.Table) -> Dataset:
    """LensKit's dataset from Arrow columns, its fastest input."""
    table = pa.table({"user_id": train["user_index"], "item_id": train["movie_index"], "rating": train["rating"]})
    builder = DatasetBuilder()
    builder.add_interactions(
        "rating", table, entities=["user", "item"], missing="insert", allow_repeats=False, default=True
    )
    return builder.build()


def evaluate(model: BiasedMFScorer, test: pa.Table) -> dict[str, float | int]:
    """RMSE over the test rows whose user and movie are both in training, by the model's own factors and biases."""
    users = model.users.numbers(test["user_index"].to_numpy(), missing="negative")
    items = model.items.numbers(test["movie_index"].to_numpy(), missing="negative")
    warm = (users >= 0) & (items >= 0)
    users, items = users[warm], items[warm]
    products = np.einsum("ij,ij->i", model.user_embeddings[users], model.item_embeddings[items], dtype=np.float64)
    bias = model.bias
    predicted = bias.global_bias + bias.user_biases[users] + bias.item_biases[items] + products
    truth = test["rating"].to_numpy()[warm].astype(np.float64)
    return {"rmse": float(np.sqrt(np.mean((truth - predicted) ** 2))), "warm_rows": int(warm.sum())}


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="folder with interactions.parquet")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--rank", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--reg-param", type=float, default=0.1)
    return parser


if __name__ == "__main__":
    main()
