"""Who runs against whom: for each contender the command, the seconds of its stages, and how good its model is."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from common import PROJECT, Run, clean_house, prepare_bronze, run, snakemake
from exchange import judge, trained_model
from peers import environment, openblas

from reco_platform.lakehouse import layout
from reco_platform.models.als.model import read_model
from reco_platform.pipeline.steps_table import STEP_OF
from reco_platform.spark import java, submit

SMALLEST_HEAP_GB, LARGEST_HEAP_GB = 4, 10
CSV_BYTES_PER_HEAP_GB = 60_000_000
OURS_STEPS = ("silver_ratings", "interactions", "train_als", "recommend")
NETLIB = "dev.ludovic.netlib"


@dataclass(frozen=True)
class Bench:
    """One invocation: data, parameters, places.

    Attributes:
        dataset: name in the registry.
        scratch: a folder for everything that is made.
        cores: threads for each contender.
        timeout: seconds for each run.
        model: rank, iterations, reg_param, top_n; the same for all.
        config: further settings of our pipeline, as key=value.
    """

    dataset: str
    scratch: Path
    cores: int
    timeout: float
    model: dict[str, Any]
    config: dict[str, str]

    @property
    def lakehouse(self) -> Path:
        return self.scratch / "lakehouse"

    @property
    def inputs(self) -> Path:
        return self.scratch / "inputs"

    @property
    def ratings_csv(self) -> Path:
        paths = layout.Lakehouse(str(self.lakehouse), self.dataset)
        return paths.local(f"{paths.bronze('ratings')}.csv")

    def log(self, name: str, number: int) -> Path:
        return self.scratch / "_logs" / f"{name}-{number}.log"

    def options(self, *names: str) -> list[str]:
        """Command-line options with the model's parameters."""
        return [part for name in names for part in (f"--{name.replace('_', '-')}", str(self.model[name]))]


@dataclass(frozen=True)
class Outcome:
    """One run of a contender: what the tree of processes took, seconds by stage, and findings such as rmse."""

    run: Run
    stages: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        return {**self.run.summary(), "stages": self.stages, **self.facts}


# --- ours


def ours(bench: Bench, number: int) -> Outcome:
    """`snakemake gold` from a lakehouse that holds nothing but the CSV files."""
    clean_house(bench.lakehouse)
    model = bench.model
    settings = {"rank": model["rank"], "max_iter": model["iterations"], "reg_param": model["reg_param"]}
    command = snakemake(
        "gold", cores=bench.cores, dataset=bench.dataset, lakehouse=bench.lakehouse, top_n=model["top_n"], **settings,
        **bench.config,
    )  # fmt: skip
    done = run(command, log=bench.log("ours", number), timeout=bench.timeout)
    if done.failure:
        return Outcome(done)
    return Outcome(
        done, our_stages(bench.lakehouse, bench.dataset), judge(bench.lakehouse, trained_model(bench.lakehouse))
    )


def ours_demo(bench: Bench, number: int) -> Outcome:
    """`snakemake gold` on the built-in demo data: what a newcomer waits for."""
    small = replace(bench, dataset="demo", scratch=bench.scratch.parent / "ours-demo")
    prepare_bronze(small.dataset, small.lakehouse, small.cores)
    return ours(small, number)


def our_stages(lakehouse: Path, dataset: str) -> dict[str, float]:
    """Seconds of each step: its work as it says itself, and, under "<step> job", from the start of its process."""
    paths = layout.Lakehouse(str(lakehouse), dataset)
    places = {
        "interactions": STEP_OF["interactions"].artifact,
        "train_als": STEP_OF["model"].artifact,
        "recommend": STEP_OF["recommendations"].artifact,
    }
    stages = {}
    for step in OURS_STEPS:
        receipt = Path(paths.receipt(places.get(step, layout.silver("ratings"))))
        provenance = receipt.with_name(receipt.name.replace(".receipt.", ".provenance."))
        stages[step] = json.loads(provenance.read_text(encoding="utf-8"))["seconds"]
    for path in sorted((lakehouse / "_logs").glob("*.benchmark.tsv")):
        with path.open(encoding="utf-8") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        stages[f"{path.name.removesuffix('.benchmark.tsv')} job"] = float(row["s"])
    return stages


def ours_topn(bench: Bench, number: int) -> Outcome:
    """Our top-N alone, on the factors that implicit gets."""
    out = bench.scratch / "topn_ours.json"
    options = ["--inputs", bench.inputs, "--out", out, "--threads", str(bench.cores), *bench.options("top_n")]
    command = [sys.executable, PROJECT / "benchmarks" / "topn_ours.py", *options]
    return reported(run(command, log=bench.log("ours-topn", number), timeout=bench.timeout), out)


# --- the straightforward PySpark pipeline


def spark(bench: Bench, number: int) -> Outcome:
    """As pip installs it: BLAS and LAPACK in Java (with the vector module), also where the system has OpenBLAS."""
    switches = " ".join(f"-D{NETLIB}.{part}.allowNative=false" for part in ("blas", "lapack", "arpack"))
    return straightforward(bench, "spark", number, switches, {}, native=False)


def spark_openblas(bench: Bench, number: int) -> Outcome:
    """With OpenBLAS under it, one thread a task, as Spark's guide asks for."""
    library = openblas()
    switches = " ".join(f"-D{NETLIB}.{part}.nativeLibPath={library[part]}" for part in ("blas", "lapack"))
    found = {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, (library["folders"], os.getenv("LD_LIBRARY_PATH"))))}
    return straightforward(bench, "spark-openblas", number, switches, found, native=True)


def straightforward(
    bench: Bench, name: str, number: int, java_options: str, environment: dict[str, str], *, native: bool
) -> Outcome:
    out = bench.scratch / name
    shutil.rmtree(out, ignore_errors=True)
    (out / "conf").mkdir(parents=True)
    heap = min(max(bench.ratings_csv.stat().st_size // CSV_BYTES_PER_HEAP_GB, SMALLEST_HEAP_GB), LARGEST_HEAP_GB)
    settings = {
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        "spark.sql.shuffle.partitions": str(4 * bench.cores),
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(out / "local"),
        # ALS without checkpoints has plans too deep for the usual stack.
        "spark.driver.extraJavaOptions": f"-Xss8m {java_options}",
    }
    command = [
        java.spark_home() / "bin" / "spark-submit", "--master", f"local[{bench.cores}]",
        "--driver-memory", f"{heap}g",
        *(part for key, value in settings.items() for part in ("--conf", f"{key}={value}")),
        PROJECT / "benchmarks" / "straightforward.py", "--csv", bench.ratings_csv, "--out", out,
        *bench.options("rank", "iterations", "reg_param", "top_n"),
    ]  # fmt: skip
    variables = submit.spark_environment() | {
        "SPARK_CONF_DIR": str(out / "conf"),  # empty: none of our own settings
        "OPENBLAS_NUM_THREADS": "1",
        **environment,
    }
    done = run(command, log=bench.log(name, number), timeout=bench.timeout, environment=variables)
    found = reported(done, out / "stages.json")
    if found.run.failure:
        return found
    if ("JNI" in found.facts["blas"]) is not native or ("JNI" in found.facts["lapack"]) is not native:
        raise RuntimeError(f"{name} ran on {found.facts['blas']} and {found.facts['lapack']}; see {done.log}")
    facts = {
        **found.facts,
        "rmse_on_own_split": found.facts["rmse"],
        **judge(bench.lakehouse, read_model(out / "model")),
    }
    return Outcome(found.run, found.stages, {**facts, "heap_gb": heap, "silver_files": parquet_files(out / "silver")})


def parquet_files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.parquet"))


# --- LensKit and implicit


def lenskit(bench: Bench, number: int) -> Outcome:
    out = bench.scratch / "lenskit.json"
    options = ["--inputs", bench.inputs, "--out", out, *bench.options("rank", "iterations", "reg_param")]
    command = [environment("lenskit"), PROJECT / "benchmarks" / "peer_lenskit.py", *options]
    threads = {"LK_NUM_THREADS": str(bench.cores)}
    return reported(run(command, log=bench.log("lenskit", number), timeout=bench.timeout, environment=threads), out)


def implicit(bench: Bench, number: int) -> Outcome:
    out = bench.scratch / "implicit.json"
    options = ["--inputs", bench.inputs, "--out", out, "--threads", str(bench.cores)]
    command = [
        environment("implicit"), PROJECT / "benchmarks" / "peer_implicit.py", *options,
        *bench.options("rank", "iterations", "top_n"),
    ]  # fmt: skip
    threads = {"OPENBLAS_NUM_THREADS": "1"}  # implicit has threads of its own, and warns of more below them
    return reported(run(command, log=bench.log("implicit", number), timeout=bench.timeout, environment=threads), out)


def reported(done: Run, out: Path) -> Outcome:
    """An outcome with what a script has written about itself."""
    if done.failure:
        return Outcome(done)
    found = json.loads(out.read_text(encoding="utf-8"))
    out.unlink()
    return Outcome(done, found.pop("stages"), found)


CONTENDERS: dict[str, Callable[[Bench, int], Outcome]] = {
    "ours": ours,
    "ours-demo": ours_demo,
    "ours-topn": ours_topn,
    "spark": spark,
    "spark-openblas": spark_openblas,
    "lenskit": lenskit,
    "implicit": implicit,
}
