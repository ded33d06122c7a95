"""Measure what training by Spark (engine=spark-ml) sends between its tasks, and compare with docs/scale.md.

    python benchmarks/shuffle.py --sizes 1m 5m
    python benchmarks/shuffle.py --sizes 1m --config spark_master=spark://127.0.0.1:7077

The figures are from Spark's event log. Bytes do not depend on where the tasks run; seconds do.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import common
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from common import RESULTS, log_line
from exchange import interactions

from reco_platform.lakehouse import layout
from reco_platform.pipeline.steps_table import STEP_OF

DISTRIBUTION_STAGES = ("mapPartitions at ALS", "map at ALS")
"""Names of the stages that distribute the ratings to blocks: once, then by user and by movie."""

BLOCK_STAGES = "map at ALS"
"""Of these, the stages that hold the ratings of a task in memory while they send them."""

FACTOR_STAGES = "flatMap at ALS"
"""Name of the stages that send factors to the blocks that need them: two per iteration."""


def main() -> None:
    arguments = argument_parser().parse_args()
    found = {
        "machine": common.describe_machine(),
        "rank": arguments.rank,
        "blocks": arguments.blocks,
        "iterations": arguments.iterations,
        "sizes": [measure_size(size, arguments) for size in arguments.sizes],
    }
    common.save(arguments.out, found, report(found))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["1m", "5m"], help="data sets of registry, or 1m, 5m, 25m")
    parser.add_argument("--rank", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=4, help="num_blocks")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memory", default="3g", help="driver_memory")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for each run")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="further settings of our pipeline")
    parser.add_argument("--out", type=Path, default=RESULTS / "shuffle", help="where the results go, without suffix")
    return parser


def measure_size(size: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measured and computed figures of one data set."""
    dataset = common.SIZES.get(size, size)
    lakehouse = RESULTS / "_scratch" / dataset / "shuffle"
    common.prepare_bronze(dataset, lakehouse, arguments.cores)
    measured = per_stage(trained(dataset, lakehouse, arguments))
    rows = interactions(lakehouse)
    train = rows.filter(pc.not_equal(rows["fold"], "test"))
    distributed = [one for name, one in measured if name.startswith(DISTRIBUTION_STAGES)]
    sent = [one for name, one in measured if name.startswith(FACTOR_STAGES)]
    log_line(f"{dataset}: {len(sent)} stages sent factors")
    return {
        "dataset": dataset,
        "ratings": len(train),
        "users": len(pc.unique(train["user_id"])),
        "movies": len(pc.unique(train["movie_id"])),
        "handed_out_bytes": [one["bytes"] for one in distributed],
        "handed_out_computed": 12 * len(train),
        "handing_out_seconds": sum(one["seconds"] for one in distributed),
        "peak_bytes_per_rating": max(one["peak"] for name, one in measured if name.startswith(BLOCK_STAGES))
        / len(train),
        "iteration_bytes": sum(one["bytes"] for one in sent) / (len(sent) / 2),
        "iteration_computed": 4 * arguments.rank * factors_sent(train, arguments.blocks),
        "iteration_seconds": solving(measured) / (arguments.iterations + 0.5),
        "spilled_bytes": sum(one["spilled"] for _, one in measured),
    }


def trained(dataset: str, lakehouse: Path, arguments: argparse.Namespace) -> Path:
    """The event log of a training run in an empty lakehouse.

    Raises:
        RuntimeError: if it fails.
    """
    common.clean_lakehouse(lakehouse)
    events = lakehouse.parent / "events"
    shutil.rmtree(events, ignore_errors=True)
    events.mkdir(parents=True)
    settings = {"enabled": "true", "dir": events.as_uri(), "rolling.enabled": "false", "compress": "false"}
    config = {
        "dataset": dataset,
        "lakehouse": lakehouse,
        "engine": "spark-ml",
        "rank": arguments.rank,
        "max_iter": arguments.iterations,
        "num_blocks": arguments.blocks,
        "driver_memory": arguments.memory,
        "spark_conf": ",".join(f"spark.eventLog.{name}={value}" for name, value in settings.items()),
        **dict(pair.split("=", 1) for pair in arguments.config),
    }
    target = layout.Lakehouse(str(lakehouse), dataset).receipt(STEP_OF["model"].artifact)
    command = common.snakemake(target, cores=arguments.cores, **config)
    done = common.run(command, log=lakehouse.parent / "_logs" / "shuffle.log", timeout=arguments.timeout)
    logs = list(events.iterdir())
    if done.failure or len(logs) != 1:
        raise RuntimeError(f"{dataset}: {done.failure or f'{len(logs)} event logs'}; see {done.log}")
    log_line(f"{dataset}: {done.seconds} s")
    return logs[0]


def per_stage(log: Path) -> list[tuple[str, Mapping[str, float]]]:
    """The name of each stage, and the sums (for `peak` the maximum) over its tasks."""
    names: dict[int, str] = {}
    sums: dict[int, dict[str, float]] = defaultdict(lambda: dict.fromkeys(("bytes", "seconds", "spilled", "peak"), 0.0))
    for event in events_of(log):
        if event["Event"] == "SparkListenerStageCompleted":
            names[event["Stage Info"]["Stage ID"]] = event["Stage Info"]["Stage Name"]
        if event["Event"] == "SparkListenerTaskEnd":
            metrics, own = event["Task Metrics"], sums[event["Stage ID"]]
            own["bytes"] += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
            own["seconds"] += metrics["Executor CPU Time"] / 1e9
            own["spilled"] += metrics["Memory Bytes Spilled"]
            own["peak"] = max(own["peak"], metrics["Peak Execution Memory"])
    return [(names[stage], sums[stage]) for stage in sorted(names)]


def events_of(log: Path) -> Iterator[dict[str, Any]]:
    with log.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def solving(measured: list[tuple[str, Mapping[str, float]]]) -> float:
    """Seconds of all stages after the blocks are built: the iterations, and half of one more.

    ALS does not keep the movies' factors of its last iteration, and computes them again for its result.
    """
    first = next(number for number, (name, _) in enumerate(measured) if name.startswith(FACTOR_STAGES))
    return sum(one["seconds"] for _, one in measured[first:])


def factors_sent(train: pa.Table, blocks: int) -> int:
    """The number of factors that an iteration sends: each user's to the blocks of its movies, and vice versa.

    The block of an id is its remainder. Each pair of an id and a block counts once.
    """
    users, movies = (train[name].to_numpy().astype(np.int64) for name in ("user_id", "movie_id"))
    return len(np.unique(users * blocks + movies % blocks)) + len(np.unique(movies * blocks + users % blocks))


def report(found: Mapping[str, Any]) -> str:
    heads = [
        "", "ratings", "users", "movies", "distributed, MB (three times)", "12 bytes per rating, MB",
        "per iteration, MB", "computed, MB", "measured / computed", "peak bytes per rating", "spilled, MB",
        "core seconds: distribution", "per iteration",
    ]  # fmt: skip
    rows = [
        [
            one["dataset"], *(f"{one[name]:,}" for name in ("ratings", "users", "movies")),
            " ".join(f"{count / 1e6:.1f}" for count in one["handed_out_bytes"]), one["handed_out_computed"] / 1e6,
            one["iteration_bytes"] / 1e6, one["iteration_computed"] / 1e6,
            f"{one['iteration_bytes'] / one['iteration_computed']:.3f}",
            one["peak_bytes_per_rating"], one["spilled_bytes"] / 1e6,
            one["handing_out_seconds"], one["iteration_seconds"],
        ]
        for one in found["sizes"]
    ]  # fmt: skip
    terms = f"Rank {found['rank']}, {found['blocks']} blocks, {found['iterations']} iterations"
    return f"{terms}; {common.machine_line(found['machine'])}.\n\n{common.table(heads, rows)}"


if __name__ == "__main__":
    main()
