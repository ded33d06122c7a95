"""Measure the overhead of receipts and fingerprints: in ETL, and in a run with nothing to do.

    python benchmarks/overhead.py --dataset generated-5m --repeats 5

ETL is the step silver_ratings in its own process, from CSV to a published Delta table, alternately as it is and as
bare_silver.py. The run with nothing to do is `snakemake gold` on finished results, compared with Snakemake on an empty
Snakefile.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import common
from common import RESULTS, Run, log_line, median, prepare_bronze, run, snakemake

from reco_platform.lakehouse import layout
from reco_platform.spark import submit

LARGEST_SHARE = 0.05
LARGEST_EXTRA_SECONDS = 1.0


def main() -> None:
    arguments = argument_parser().parse_args()
    scratch = RESULTS / "_scratch" / "overhead"
    found: dict[str, Any] = {
        "machine": common.describe_machine(),
        "arguments": {**vars(arguments), "out": str(arguments.out)},
    }
    if "etl" in arguments.only:
        found["etl"] = etl(arguments.dataset, scratch / arguments.dataset, arguments)
    if "noop" in arguments.only:
        found["noop"] = noop(arguments.noop_dataset, scratch / f"noop-{arguments.noop_dataset}", arguments)
    common.save(arguments.out, found, report(found))


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="generated-5m", help="data set of the ETL")
    parser.add_argument("--noop-dataset", default="demo", help="data set of the run with nothing to do")
    parser.add_argument("--only", nargs="+", choices=("etl", "noop"), default=("etl", "noop"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memory", default="2g", help="Java heap of the driver")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for each run")
    parser.add_argument("--out", type=Path, default=RESULTS / "overhead", help="where the results go, without suffix")
    return parser


def interleaved(variants: Mapping[str, Callable[[int], Run]], repeats: int) -> dict[str, list[Run]]:
    """Runs the variants alternately, every second time in reverse order.

    Raises:
        RuntimeError: if a run fails.
    """
    runs: dict[str, list[Run]] = {name: [] for name in variants}
    for number in range(repeats):
        for name in list(variants)[:: 1 if number % 2 == 0 else -1]:
            done = variants[name](number)
            if done.failure:
                raise RuntimeError(f"{name}: {done.failure}; see {done.log}")
            log_line(f"{name} {number + 1}: {done.seconds:.2f} s, {done.cpu_seconds:.2f} s of CPU")
            runs[name].append(done)
    return runs


def summarise(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Medians of wall and CPU time of each variant, and all runs."""
    return {
        name: {
            "seconds": median(one.seconds for one in done),
            "cpu_seconds": median(one.cpu_seconds for one in done),
            "spread_of_seconds": spread([one.seconds for one in done]),
            "spread_of_cpu_seconds": spread([one.cpu_seconds for one in done]),
            "runs": [one.summary() for one in done],
        }
        for name, done in runs.items()
    }


def spread(values: Sequence[float]) -> float:
    """The range of values divided by their median."""
    return (max(values) - min(values)) / statistics.median(values)


def etl(dataset: str, lakehouse: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """CSV to Delta with and without receipts, each run in a lakehouse with only bronze."""
    prepare_bronze(dataset, lakehouse, arguments.cores)

    def variant(name: str, script: str) -> Callable[[int], Run]:
        def once(number: int) -> Run:
            shutil.rmtree(lakehouse / "silver", ignore_errors=True)
            log = lakehouse.parent / "_logs" / f"{dataset}-{name}-{number}.log"
            command = silver_command(script, dataset, lakehouse, arguments)
            return run(command, log=log, timeout=arguments.timeout, environment=submit.spark_environment())

        return once

    variants = {
        "with receipts": variant("with", "scripts/silver_ratings.py"),
        "without": variant("without", "benchmarks/bare_silver.py"),
    }
    found = summarise(interleaved(variants, arguments.repeats))
    shutil.rmtree(lakehouse / "silver", ignore_errors=True)
    return {"dataset": dataset, **found, **shares(found)}


def silver_command(script: str, dataset: str, lakehouse: Path, arguments: argparse.Namespace) -> list[str]:
    paths = layout.Lakehouse(str(lakehouse), dataset)
    options = {
        "--lakehouse": str(lakehouse),
        "--dataset": dataset,
        "--bronze": paths.receipt(paths.bronze("ratings")),
        "--receipt": paths.receipt(layout.silver("ratings")),
        "--threads": str(arguments.cores),
    }
    flat = [part for option in options.items() for part in option]
    size = Path(lakehouse, f"bronze/movielens/{dataset}/ratings.csv").stat().st_size
    return submit.submit_command(script, flat, threads=arguments.cores, memory=arguments.memory, input_bytes=size)


def shares(found: Mapping[str, Any]) -> dict[str, float]:
    """The share of receipts in wall and in CPU time."""
    whole, bare = found["with receipts"], found["without"]
    return {
        "share_of_time": (whole["seconds"] - bare["seconds"]) / whole["seconds"],
        "share_of_cpu": (whole["cpu_seconds"] - bare["cpu_seconds"]) / whole["cpu_seconds"],
    }


def noop(dataset: str, lakehouse: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """A run with nothing to do, compared with Snakemake on an empty file.

    Raises:
        RuntimeError: if the results cannot be made, or a run does work.
    """
    gold = snakemake("gold", cores=arguments.cores, dataset=dataset, lakehouse=lakehouse, rank=5, max_iter=2)
    logs = lakehouse.parent / "_logs"
    made = run(gold, log=logs / "noop-gold.log", timeout=arguments.timeout)
    if made.failure:
        raise RuntimeError(f"snakemake gold: {made.failure}; see {made.log}")
    empty = lakehouse.parent / "Snakefile.empty"
    empty.write_text("", encoding="utf-8")
    bare = [str(common.SNAKEMAKE), "--cores", str(arguments.cores), "--snakefile", str(empty)]
    variants: dict[str, Callable[[int], Run]] = {
        "snakemake gold": lambda n: run(gold, log=logs / f"noop-{n}.log", timeout=arguments.timeout),
        "empty Snakefile": lambda n: run(bare, log=logs / f"empty-{n}.log", timeout=arguments.timeout),
    }
    runs = interleaved(variants, arguments.repeats)
    for one in runs["snakemake gold"]:
        if "Nothing to be done" not in one.log.read_text(encoding="utf-8"):
            raise RuntimeError(f"a run that should have had nothing to do did work; see {one.log}")
    found = summarise(runs)
    extra = found["snakemake gold"]["seconds"] - found["empty Snakefile"]["seconds"]
    return {"dataset": dataset, **found, "extra_seconds": extra}


def report(found: Mapping[str, Any]) -> str:
    rows: list[list[Any]] = []
    if "etl" in found:
        part = found["etl"]
        whole, bare = part["with receipts"], part["without"]
        what = f"ETL of {part['dataset']}"
        for unit, key, share in (("s", "seconds", "share_of_time"), ("s of CPU", "cpu_seconds", "share_of_cpu")):
            cost, target = f"{part[share]:.1%}", f"under {LARGEST_SHARE:.0%}"
            noise = max(side[f"spread_of_{key}"] for side in (whole, bare))
            target_text = verdict(part[share] < LARGEST_SHARE, noise, LARGEST_SHARE)
            rows.append([f"{what}, {unit}", whole[key], bare[key], cost, target, target_text])
    if "noop" in found:
        part = found["noop"]
        sides = [part[name] for name in ("snakemake gold", "empty Snakefile")]
        times = [side["seconds"] for side in sides]
        noise = max(side["spread_of_seconds"] * side["seconds"] for side in sides)
        cost, target = f"{part['extra_seconds']:.2f} s", f"within {LARGEST_EXTRA_SECONDS:.0f} s"
        target_text = verdict(part["extra_seconds"] <= LARGEST_EXTRA_SECONDS, noise, LARGEST_EXTRA_SECONDS)
        rows.append([f"nothing to do on {part['dataset']}, s", *times, cost, target, target_text])
    heads = ["", "with receipts", "without", "cost", "target", ""]
    runs = found["arguments"]["repeats"]
    return (
        f"Medians of {runs} interleaved runs, {common.machine_line(found['machine'])}.\n\n{common.table(heads, rows)}"
    )


def verdict(met: bool, noise: float, target: float) -> str:
    """Whether a target is met, with a note if the runs differ by more than the target."""
    return ("met" if met else "missed") + (" (unclear: the runs differ by more)" if noise > target else "")


if __name__ == "__main__":
    main()
