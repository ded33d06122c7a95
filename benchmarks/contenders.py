"""The contenders: for each the command, the seconds of its stages, and the RMSE of its model."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from common import PROJECT, Run, clean_lakehouse, prepare_bronze, run, snakemake
from exchange import evaluate, trained_model
from peers import environment, openblas

from reco_platform.lakehouse import layout
from reco_platform.models.als.model import read_model
from reco_platform.pipeline.steps_table import STEP_OF
from reco_platform.spark import java, submit

SMALLEST_HEAP_GB, LARGEST_HEAP_GB = 4, 10
CSV_BYTES_PER_HEAP_GB = 60_000_000
OUR_STEPS = ("silver_ratings", "interactions", "train_als", "recommend")
NETLIB = "dev.ludovic.netlib"
JAVA_BLAS = " ".join(f"-D{NETLIB}.{part}.allowNative=false" for part in ("blas", "lapack", "arpack"))
"""Options of Java for BLAS and LAPACK in Java, even if the system has OpenBLAS."""


@dataclass(frozen=True)
class BenchmarkSetup:
    """The setup of one benchmark: data, parameters and folders.

    Attributes:
        dataset: name in the registry.
        scratch: folder for all files.
        cores: threads for each contender.
        timeout: seconds for each run.
        model: rank, iterations, reg_param, top_n; the same for all contenders.
        config: additional config of our pipeline.
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
        return Path(str(paths.content(f"{paths.bronze('ratings')}.csv")))

    def log(self, name: str, number: int) -> Path:
        return self.scratch / "_logs" / f"{name}-{number}.log"

    def options(self, *names: str) -> list[str]:
        """Command-line options with the model's parameters."""
        return [part for name in names for part in (f"--{name.replace('_', '-')}", str(self.model[name]))]


@dataclass(frozen=True)
class Outcome:
    """One run of a contender: measurements of the process tree, seconds by stage, and facts such as rmse."""

    run: Run
    stages: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        return {**self.run.summary(), "stages": self.stages, **self.facts}


# --- ours


def ours(setup: BenchmarkSetup, number: int) -> Outcome:
    """`snakemake gold` in a lakehouse with only the CSV files."""
    clean_lakehouse(setup.lakehouse)
    model = setup.model
    settings = {"rank": model["rank"], "max_iter": model["iterations"], "reg_param": model["reg_param"]}
    command = snakemake(
        "gold", cores=setup.cores, dataset=setup.dataset, lakehouse=setup.lakehouse, top_n=model["top_n"], **settings,
        **setup.config,
    )  # fmt: skip
    done = run(command, log=setup.log("ours", number), timeout=setup.timeout)
    if done.failure:
        return Outcome(done)
    return Outcome(
        done, our_stages(setup.lakehouse, setup.dataset), evaluate(setup.lakehouse, trained_model(setup.lakehouse))
    )


def ours_demo(setup: BenchmarkSetup, number: int) -> Outcome:
    """`snakemake gold` on the built-in demo data: the first run of a new user."""
    small = replace(setup, dataset="demo", scratch=setup.scratch.parent / "ours-demo")
    prepare_bronze(small.dataset, small.lakehouse, small.cores)
    return ours(small, number)


def our_stages(lakehouse: Path, dataset: str) -> dict[str, float]:
    """Seconds of each step as it reports them, and under "<step> job" with the start of its process."""
    paths = layout.Lakehouse(str(lakehouse), dataset)
    artifacts = {
        "interactions": STEP_OF["interactions"].artifact,
        "train_als": STEP_OF["model"].artifact,
        "recommend": STEP_OF["recommendations"].artifact,
    }
    stages = {}
    for step in OUR_STEPS:
        receipt = Path(paths.receipt(artifacts.get(step, layout.silver("ratings"))))
        provenance = receipt.with_name(receipt.name.replace(".receipt.", ".provenance."))
        stages[step] = json.loads(provenance.read_text(encoding="utf-8"))["seconds"]
    for path in sorted((lakehouse / "_logs").glob("*.benchmark.tsv")):
        with path.open(encoding="utf-8") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        stages[f"{path.name.removesuffix('.benchmark.tsv')} job"] = float(row["s"])
    return stages


def ours_topn(setup: BenchmarkSetup, number: int) -> Outcome:
    """Our top-N alone, on the same factors as implicit."""
    out = setup.scratch / "topn_ours.json"
    options = ["--inputs", setup.inputs, "--out", out, "--threads", str(setup.cores), *setup.options("top_n")]
    command = [sys.executable, PROJECT / "benchmarks" / "topn_ours.py", *options]
    return outcome_from_file(run(command, log=setup.log("ours-topn", number), timeout=setup.timeout), out)


# --- the straightforward PySpark pipeline


def spark(setup: BenchmarkSetup, number: int) -> Outcome:
    """Spark as pip installs it: BLAS and LAPACK in Java (with the vector module), even if the system has OpenBLAS."""
    return straightforward(setup, "spark", number, JAVA_BLAS, {}, native=False)


def spark_openblas(setup: BenchmarkSetup, number: int) -> Outcome:
    """Spark with OpenBLAS, one thread per task, as Spark's guide recommends."""
    library = openblas()
    switches = " ".join(f"-D{NETLIB}.{part}.nativeLibPath={library[part]}" for part in ("blas", "lapack"))
    found = {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, (library["folders"], os.getenv("LD_LIBRARY_PATH"))))}
    return straightforward(setup, "spark-openblas", number, switches, found, native=True)


def straightforward(
    setup: BenchmarkSetup, name: str, number: int, java_options: str, environment: dict[str, str], *, native: bool
) -> Outcome:
    out = setup.scratch / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    heap = min(max(setup.ratings_csv.stat().st_size // CSV_BYTES_PER_HEAP_GB, SMALLEST_HEAP_GB), LARGEST_HEAP_GB)
    script = [
        PROJECT / "benchmarks" / "straightforward.py", "--csv", setup.ratings_csv, "--out", out,
        *setup.options("rank", "iterations", "reg_param", "top_n"),
    ]  # fmt: skip
    command, variables = spark_submit(out, setup.cores, heap, java_options, script)
    variables |= environment
    done = run(command, log=setup.log(name, number), timeout=setup.timeout, environment=variables)
    found = outcome_from_file(done, out / "stages.json")
    if found.run.failure:
        return found
    if ("JNI" in found.facts["blas"]) is not native or ("JNI" in found.facts["lapack"]) is not native:
        raise RuntimeError(f"{name} ran on {found.facts['blas']} and {found.facts['lapack']}; see {done.log}")
    facts = {
        **found.facts,
        "rmse_on_own_split": found.facts["rmse"],
        **evaluate(setup.lakehouse, read_model(out / "model")),
    }
    return Outcome(found.run, found.stages, {**facts, "heap_gb": heap, "silver_files": parquet_files(out / "silver")})


def spark_submit(
    out: Path, cores: int, heap_gb: int, java_options: str, script: Sequence[Any]
) -> tuple[list[Any], dict[str, str]]:
    """The command line of a Spark job in one process, and its environment variables.

    Args:
        out: an existing folder for Spark's files.
        cores: threads.
        heap_gb: memory of the Java process.
        java_options: more options of the Java process.
        script: the Python script and its options.
    """
    (out / "conf").mkdir()
    settings = {
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        "spark.sql.shuffle.partitions": str(4 * cores),
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(out / "local"),
        # The plans of ALS without checkpoints are too deep for the default stack size.
        "spark.driver.extraJavaOptions": f"-Xss8m {java_options}",
    }
    command = [
        java.spark_home() / "bin" / "spark-submit", "--master", f"local[{cores}]", "--driver-memory", f"{heap_gb}g",
        *(part for key, value in settings.items() for part in ("--conf", f"{key}={value}")), *script,
    ]  # fmt: skip
    return command, submit.spark_environment() | {
        "SPARK_CONF_DIR": str(out / "conf"),  # empty, so without settings of this project
        "OPENBLAS_NUM_THREADS": "1",
    }


def parquet_files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.parquet"))


# --- LensKit and implicit


def lenskit(setup: BenchmarkSetup, number: int) -> Outcome:
    out = setup.scratch / "lenskit.json"
    options = ["--inputs", setup.inputs, "--out", out, *setup.options("rank", "iterations", "reg_param")]
    command = [environment("lenskit"), PROJECT / "benchmarks" / "peer_lenskit.py", *options]
    threads = {"LK_NUM_THREADS": str(setup.cores)}
    return outcome_from_file(
        run(command, log=setup.log("lenskit", number), timeout=setup.timeout, environment=threads), out
    )


def implicit(setup: BenchmarkSetup, number: int) -> Outcome:
    out = setup.scratch / "implicit.json"
    options = ["--inputs", setup.inputs, "--out", out, "--threads", str(setup.cores)]
    command = [
        environment("implicit"), PROJECT / "benchmarks" / "peer_implicit.py", *options,
        *setup.options("rank", "iterations", "top_n"),
    ]  # fmt: skip
    threads = {"OPENBLAS_NUM_THREADS": "1"}  # implicit has its own threads, and warns about threads of BLAS
    return outcome_from_file(
        run(command, log=setup.log("implicit", number), timeout=setup.timeout, environment=threads), out
    )


def outcome_from_file(done: Run, out: Path) -> Outcome:
    """An outcome with the stages and facts that a script wrote to a file."""
    if done.failure:
        return Outcome(done)
    found = json.loads(out.read_text(encoding="utf-8"))
    out.unlink()
    return Outcome(done, found.pop("stages"), found)


CONTENDERS: dict[str, Callable[[BenchmarkSetup, int], Outcome]] = {
    "ours": ours,
    "ours-demo": ours_demo,
    "ours-topn": ours_topn,
    "spark": spark,
    "spark-openblas": spark_openblas,
    "lenskit": lenskit,
    "implicit": implicit,
}
