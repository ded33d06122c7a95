"""pyspark.ml's ALS with implicitPrefs on the common input: its factors, and the mean seconds of an iteration.

implicit_kernel.py runs it by spark-submit; it does not import this project. Spark tells nothing of its iterations, so
the seconds of one are the difference between a fit with all iterations and a fit with one, divided by their number.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession


def main() -> None:
    arguments = argument_parser().parse_args()
    spark = SparkSession.builder.appName("implicit").getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    started = time.perf_counter()
    pairs = spark.read.parquet(str(arguments.inputs / "pairs.parquet")).cache()
    pairs.count()
    prepared = time.perf_counter() - started
    seconds = []
    for iterations in (1, arguments.iterations):
        als = ALS(
            userCol="user", itemCol="movie", ratingCol="rating", implicitPrefs=True, seed=42, rank=arguments.rank,
            maxIter=iterations, alpha=arguments.alpha, regParam=arguments.reg_param,
        )  # fmt: skip
        started = time.perf_counter()
        model = als.fit(pairs)
        seconds.append(time.perf_counter() - started)
    np.save(arguments.out / "users.npy", factors(model.userFactors))
    np.save(arguments.out / "movies.npy", factors(model.itemFactors))
    mean = (seconds[1] - seconds[0]) / (arguments.iterations - 1)
    text = json.dumps({"prepare": prepared, "iterations": [mean] * arguments.iterations}, indent=1)
    (arguments.out / "seconds.json").write_text(text + "\n", encoding="utf-8")
    spark.stop()


def factors(side: DataFrame) -> np.ndarray:
    """Factors by rising index, shape (rows, rank)."""
    table = side.toArrow().sort_by("id")
    return table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="folder with pairs.parquet")
    parser.add_argument("--out", type=Path, required=True, help="an existing folder for factors and seconds")
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True, help="at least 2")
    parser.add_argument("--alpha", type=float, required=True)
    parser.add_argument("--reg-param", type=float, required=True)
    return parser


if __name__ == "__main__":
    main()
