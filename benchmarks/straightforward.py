"""The PySpark pipeline that a user would write from Spark's own examples, with good settings: the main comparison.

One spark-submit job: CSV with a schema, cleaned, deduplicated, written by year and month; a cut in time; ALS from
pyspark.ml; RMSE on the test part; recommendForAllUsers. run.py runs it, and sets memory, Kryo and partitions.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

SCHEMA = "userId INT, movieId INT, rating FLOAT, timestamp LONG"


class Stages:
    """Seconds of each stage, from the end of the previous one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def done(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self.last, 3)
        self.last = now
        print(f"{name}: {self.seconds[name]} s", flush=True)


def main() -> None:
    arguments = argument_parser().parse_args()
    out = arguments.out
    stages = Stages()
    spark = SparkSession.builder.appName("straightforward").getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    stages.done("session")

    (
        spark.read.csv(str(arguments.csv), header=True, schema=SCHEMA)
        .dropna()
        .filter("rating >= 0.5 AND rating <= 5.0")
        .dropDuplicates(["userId", "movieId", "timestamp"])
        .withColumn("rating_ts", f.timestamp_seconds("timestamp"))
        .withColumn("year", f.year("rating_ts"))
        .withColumn("month", f.month("rating_ts"))
        .write.mode("overwrite")
        .partitionBy("year", "month")
        .parquet(str(out / "silver"))
    )
    stages.done("silver")

    ratings = spark.read.parquet(str(out / "silver")).select("userId", "movieId", "rating", "timestamp")
    (cut,) = ratings.approxQuantile("timestamp", [0.8], 0.001)
    train = ratings.filter(f.col("timestamp") <= cut).cache()
    test = ratings.filter(f.col("timestamp") > cut).cache()
    counts = {"train_count": train.count(), "test_count": test.count()}
    stages.done("split")

    als = ALS(
        userCol="userId", itemCol="movieId", ratingCol="rating", rank=arguments.rank, maxIter=arguments.iterations,
        regParam=arguments.reg_param, coldStartStrategy="drop", seed=42,
    )  # fmt: skip
    model = als.fit(train)
    stages.done("train")

    rmse = RegressionEvaluator(metricName="rmse", labelCol="rating").evaluate(model.transform(test))
    stages.done("evaluate")

    model.recommendForAllUsers(arguments.top_n).write.mode("overwrite").parquet(str(out / "recommendations"))
    stages.done("recommend")

    model.write().overwrite().save(str(out / "model"))
    metrics = {"rmse": rmse, **counts, "cut": cut}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    stages.done("save")

    found = {"stages": stages.seconds, **metrics, **implementations(spark)}
    (out / "stages.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    spark.stop()


def implementations(spark: SparkSession) -> dict[str, str]:
    """The BLAS and LAPACK classes that ALS uses: JNIBLAS and JNILAPACK if a native library was found.

    Chosen as Spark's own BLAS and LAPACK objects choose: the native class, or the Java class if there is none.
    """
    netlib = spark.sparkContext._jvm.dev.ludovic.netlib
    pairs = {
        "blas": (netlib.blas.NativeBLAS, netlib.blas.JavaBLAS),
        "lapack": (netlib.lapack.NativeLAPACK, netlib.lapack.JavaLAPACK),
    }
    return {name: class_name(*pair) for name, pair in pairs.items()}


def class_name(native: Any, java: Any) -> str:
    try:
        found = native.getInstance()
    except Py4JJavaError:
        found = java.getInstance()
    return str(found.getClass().getSimpleName())


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, required=True, help="ratings.csv")
    parser.add_argument("--out", type=Path, required=True, help="an existing folder for all output")
    parser.add_argument("--rank", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--reg-param", type=float, default=0.1)
    parser.add_argument("--top-n", type=int, default=10)
    return parser


if __name__ == "__main__":
    main()
