"""Shared by all benchmarks: run and measure a process tree, describe the machine, prepare data, print tables."""

from __future__ import annotations

import json
import os
import platform
import resource
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil  # comes with Snakemake

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "results" / "benchmarks"
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
SAMPLE_SECONDS = 0.5
MIN_INCREASE_SHARE, MIN_INCREASE_BYTES = 0.01, 16 << 20
BUSY_LOAD = 1.0
SIZES = {"1m": "generated-1m", "5m": "generated-5m", "25m": "generated-25m"}


@dataclass(frozen=True)
class Run:
    """One finished process tree.

    Attributes:
        seconds: wall time.
        cpu_seconds: user and system time of the whole tree.
        peak_memory_mb: peak memory of the whole tree, with shared pages counted once (see MemoryMonitor).
        failure: why it failed; None if it succeeded.
        log: file with its output.
    """

    seconds: float
    cpu_seconds: float
    peak_memory_mb: int
    failure: str | None
    log: Path

    def summary(self) -> dict[str, Any]:
        return {**asdict(self), "log": str(self.log.relative_to(PROJECT))}


class MemoryMonitor:
    """The peak memory of a process tree: the sum of its proportional set sizes (PSS), in bytes.

    Reading PSS walks a process's page tables, about 10 ms per GB. So it is read only if the sum of the resident set
    sizes, which is cheap and never less than the sum of PSS, allows a new peak (by more than 1%). The resident sizes
    alone are not enough: the memory of a forked process counts twice until the child runs its own program.
    """

    def __init__(self, process: int) -> None:
        self.root = psutil.Process(process)
        self.peak = 0

    def sample(self) -> None:
        tree = self.tree()
        resident = sum(memory_figure(process, "memory_info", "rss") for process in tree)
        if resident > self.peak * (1 + MIN_INCREASE_SHARE) + MIN_INCREASE_BYTES:
            self.peak = max(self.peak, sum(memory_figure(process, "memory_full_info", "pss") for process in tree))

    def tree(self) -> list[psutil.Process]:
        try:
            return [self.root, *self.root.children(recursive=True)]
        except psutil.Error:
            return []


def memory_figure(process: psutil.Process, method: str, field: str) -> int:
    """A memory figure of a process; 0 if it has just ended."""
    try:
        return int(getattr(getattr(process, method)(), field))
    except psutil.Error:
        return 0


def run(command: Sequence[object], *, log: Path, timeout: float, environment: Mapping[str, str] | None = None) -> Run:
    """Runs a command in the project's folder and measures it until it ends or the timeout passes."""
    log.parent.mkdir(parents=True, exist_ok=True)
    before = child_cpu()
    started = time.perf_counter()
    with log.open("w", encoding="utf-8") as output:
        output.write(f"$ {shlex.join(map(str, command))}\n")
        output.flush()
        process = subprocess.Popen(
            list(map(str, command)), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=PROJECT,
            env=clean_environment() | dict(environment or {}), start_new_session=True,
        )  # fmt: skip
        failure, peak = wait(process, started + timeout)
    seconds = time.perf_counter() - started
    return Run(round(seconds, 2), round(child_cpu() - before, 2), peak >> 20, failure, log)


def wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[str | None, int]:
    """Waits for a process, or kills its group at the deadline; returns the failure and the peak memory in bytes."""
    monitor = MemoryMonitor(process.pid)
    while True:
        monitor.sample()
        try:
            code = process.wait(SAMPLE_SECONDS)
            return (f"exit code {code}" if code else None), monitor.peak
        except subprocess.TimeoutExpired:
            if time.perf_counter() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return "ran out of time", monitor.peak
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGTERM)
            raise


def child_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def clean_environment() -> dict[str, str]:
    """This environment without variables that select Python packages or configure a BLAS."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return {key: value for key, value in os.environ.items() if key not in dropped}


# --- the pipeline


def snakemake(target: str, *, cores: int, **config: Any) -> list[str]:
    """The command line of one run of the pipeline; without MLflow, which the other contenders do not use either."""
    pairs = [f"{key}={value}" for key, value in {"tracking": "false", **config}.items()]
    return [str(SNAKEMAKE), "--cores", str(cores), target, "--config", *pairs]


def prepare_bronze(dataset: str, lakehouse: Path, cores: int) -> None:
    """Puts a data set's CSV files into a lakehouse, unless they are there already.

    Raises:
        RuntimeError: if the run fails.
    """
    command = snakemake("bronze_files", cores=cores, dataset=dataset, lakehouse=lakehouse)
    done = run(command, log=lakehouse.parent / "_logs" / "bronze.log", timeout=3600)
    if done.failure:
        raise RuntimeError(f"the data of {dataset} could not be prepared: {done.failure}; see {done.log}")


def clean_lakehouse(lakehouse: Path) -> None:
    """Removes everything but bronze from a lakehouse."""
    for path in lakehouse.iterdir() if lakehouse.is_dir() else ():
        if path.name != "bronze":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


# --- figures


def median(values: Iterable[float]) -> float | None:
    """The median; None without values."""
    found = list(values)
    return statistics.median(found) if found else None


def describe_machine() -> dict[str, Any]:
    """The machine and the commit of a measurement."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_at_start": os.getloadavg()[0],
        "commit": git("rev-parse", "--short", "HEAD"),
        "changed_files": len((git("status", "--porcelain") or "").splitlines()),
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def git(*arguments: str) -> str | None:
    found = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, cwd=PROJECT)
    return found.stdout.strip() if found.returncode == 0 else None


def machine_line(found: Mapping[str, Any]) -> str:
    """The machine in one line, with a note if it was busy before the measurement."""
    changed = f" and {found['changed_files']} changed files" if found["changed_files"] else ""
    busy = f", busy at the start (load {found['load_at_start']:.1f})" if found["load_at_start"] > BUSY_LOAD else ""
    what = f"{found['cores']} cores ({found['cpu']}), {found['memory_gb']} GB"
    return f"{what}, {found['measured'][:10]}, commit {found['commit']}{changed}{busy}"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; None is shown as a dash."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(map(format_cell, row)) + " |" for row in rows)]) + "\n"


def format_cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return str(value)


def save(path: Path, body: Mapping[str, Any], text: str) -> None:
    """Writes the figures as JSON and the table beside it, and prints the table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    print(f"{text}\nwritten to {path.with_suffix('.json')} and {path.with_suffix('.md')}", flush=True)


def log_line(text: str) -> None:
    print(f"[bench] {time.strftime('%H:%M:%S')} {text}", flush=True)
