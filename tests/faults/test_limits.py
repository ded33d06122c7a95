"""What the machine refuses (space, memory, open files, permissions) is told with what helps; what was made stays."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from reco_platform.config.load import load_config
from reco_platform.core import os_limits
from reco_platform.core.errors import DataError
from reco_platform.datasets import registry as datasets
from reco_platform.datasets.acquire import acquire
from reco_platform.lakehouse import receipts, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline.steps_table import STEPS, input_artifacts
from reco_platform.store import atomic_write
from support.builders import publish_ratings, ratings_table
from support.project import QUICK, Project

CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24  # linux/capability.h, linux/prctl.h
FOLDER = Lakehouse("results/small", "small")
KILOBYTE = 1024

by_pipeline = pytest.mark.pipeline


# --- in this process: each writer against a limit on the size of files


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_small_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    atomic_write.write_text(tmp_path / "run_metrics.json", "old")
    before = files(tmp_path)
    with files_of_at_most(64 * KILOBYTE), pytest.raises(OSError, match="too large"):
        atomic_write.write_text(tmp_path / "run_metrics.json", "x" * 100 * KILOBYTE)
    assert files(tmp_path) == before


@pytest.mark.parametrize("storage_format", ["delta", "parquet"])
def test_a_table_that_does_not_fit_leaves_the_old_one(tmp_path: Path, storage_format: str) -> None:
    old = publish_ratings(tmp_path, ratings_table(), storage_format)
    with files_of_at_most(KILOBYTE), pytest.raises(OSError) as caught:  # arrow's own words
        publish_ratings(tmp_path, ratings_table(first_user=7), storage_format)
    assert os_limits.error_number(caught.value) == errno.EFBIG
    assert tables.content_problem(tmp_path, old, thorough=True) is None
    again = publish_ratings(tmp_path, ratings_table(first_user=7), storage_format)
    assert tables.content_problem(tmp_path, again, thorough=True) is None


def test_csv_files_that_do_not_fit_take_no_final_name(tmp_path: Path, registry: dict[str, datasets.Dataset]) -> None:
    with files_of_at_most(64 * KILOBYTE), pytest.raises(DataError, match="too large"):
        acquire(registry["demo"], tmp_path / "bronze", tmp_path / "cache", report=lambda _: None)
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("error", "what", "hint"),
    [
        (OSError(errno.ENOSPC, "", "/data/x"), "/data/x: no space is left on the disk", "df -h '/data'"),
        (OSError(errno.EROFS, ""), "read-only", "lakehouse="),
        (Exception("Generic error: Permission denied (os error 13)"), "no permission to read or write", "ls -ld"),
        (Exception("IOException: No space left on device"), "no space is left", "prune"),
        (Exception("Job aborted: java.lang.OutOfMemoryError: Java heap space"), "Java ran out", "driver_memory"),
        (MemoryError(), "out of memory", "--cores 1"),
        (RuntimeError("can't start new thread"), "out of memory", "--cores 1"),
        (
            Exception("TID 5) (10.0.0.7 executor 0): java.lang.OutOfMemoryError: Java heap space"),
            "an executor ran out of memory",
            "executor_memory",
        ),
        (Exception("ExecutorLostFailure (executor 1 exited) Reason: code 137"), "executors", "executor_memory"),
        (
            Exception("SparkException: Python worker exited unexpectedly (crashed)"),
            "without reporting a status",
            "--cores 1",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_each_limit_is_told_with_what_helps(error: Exception, what: str, hint: str) -> None:
    found = os_limits.resource_error(error)
    assert found is not None
    assert found.hint is not None
    assert what in found.message
    assert hint in found.hint


def test_what_is_no_limit_keeps_its_trace() -> None:
    assert os_limits.resource_error(ValueError("a bug")) is None
    assert os_limits.resource_error(FileNotFoundError(errno.ENOENT, "", "x")) is None


# --- the real steps, as a person runs one by hand


def command_of(step: str, **params: Any) -> list[str]:
    if step == "bronze":
        return ["scripts/bronze.py", "--lakehouse", FOLDER.root, "--dataset", "small", "--dataset-path", "data"]
    one = STEPS[step]
    inputs = input_artifacts(one, FOLDER, load_config(QUICK, {}))
    words = [f"scripts/{step}.py", "--lakehouse", FOLDER.root, "--dataset", "small", "--threads", "2"]
    makes = one.artifact_path(FOLDER.dataset)
    words += ["--receipt", FOLDER.receipt(makes), "--params", json.dumps(params)]
    for name, artifact in inputs.items():
        at = f"{artifact}/ratings" if name == "bronze" and not artifact.endswith(one.makes) else artifact
        words += [f"--{name.replace('_', '-')}", FOLDER.receipt(at)]
    return words


def by_hand(
    project: Project, words: list[str], limit: Callable[[], None], env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=project.root, env=project.environment({"PYTHONPATH": "src", **(env or {})}),
        preexec_fn=limit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def at_most(kind: int, amount: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (amount, amount))


def unharmed(project: Project, before: dict[str, str]) -> bool:
    """Whether receipts are what they were, and what they stand for too."""
    root = project.lakehouse()
    found = [tables.content_problem(root, receipts.read(root / path)) for path in before]
    return project.receipts() == before and found == [None] * len(found)


def told(ran: subprocess.CompletedProcess[str], what: str, hint: str) -> bool:
    """Whether the last words are a message and what helps, and no trace."""
    last = ran.stdout.rstrip().splitlines()[-2:]
    assert ran.returncode == 1, ran.stdout
    assert what in last[0], ran.stdout
    assert last[1].startswith("  -> ") and hint in last[1], ran.stdout
    return "Traceback" not in ran.stdout


WRITERS = {
    "silver_ratings": {"sample_seed": 5},
    "interactions": {"test_fraction": 0.3},
    "train_als": {"rank": 3, "max_iter": 1},
    "recommend": {"top_n": 3},
    "run_metrics": {"top_n": 3},
    "report": {},
}


@by_pipeline
@pytest.mark.parametrize("step", ["bronze", *WRITERS])
def test_a_step_whose_files_do_not_fit_says_so_and_harms_nothing(built: Project, step: str) -> None:
    before = built.receipts()
    if step == "bronze":
        built.path("data/ratings.csv").write_text(built.path("data/ratings.csv").read_text("utf-8") + "1,2,3.0,9\n")
        shutil.rmtree(built.lakehouse() / "bronze/movielens/small/_memo")
    if step == "report":
        shutil.rmtree(built.lakehouse() / "reports/_memo")
    ran = by_hand(built, command_of(step, **WRITERS.get(step, {})), at_most(resource.RLIMIT_FSIZE, KILOBYTE // 4))
    words = (
        ("File too large", "df -h") if step == "bronze" else ("a file would exceed the file size limit", "ulimit -f")
    )
    assert told(ran, *words)
    assert unharmed(built, before)


@by_pipeline
def test_a_run_whose_files_do_not_fit_says_so_at_its_end(built: Project) -> None:
    before = built.receipts()
    ran = subprocess.run(
        built.command(rank=200), cwd=built.root, env=built.environment(), text=True, check=False, capture_output=True,
        preexec_fn=at_most(resource.RLIMIT_FSIZE, 100 * KILOBYTE),
    )  # fmt: skip
    assert ran.returncode == 1
    end = ran.stderr[ran.stderr.index("Failed: train_") :]
    assert "a file would exceed the file size limit" in end
    assert "next     ulimit -f unlimited" in end
    assert built.gold().worked == set()
    assert unharmed(built, before)


def in_own_mounts(script: str, *words: str) -> list[str]:
    """A command that runs in a mount namespace of its own, where the user is its root."""
    command = ["unshare", "-rm", "sh", "-ec", script, "sh", *words]
    probe = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this machine gives its users no mount namespaces")
    return command


@by_pipeline
def test_a_full_disk_and_a_read_only_one_are_named(built: Project) -> None:
    environment = built.environment({"PYTHONPATH": "src"})

    def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            in_own_mounts(script, *words), cwd=built.root, env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    built.path("full").mkdir()
    words = [word if word != FOLDER.root else "full" for word in command_of("bronze")]
    full = run('mount -t tmpfs -o size=64k none full; "$@"', sys.executable, *words)
    assert told(full, "No space left on device", "df -h")
    before = built.receipts()
    mount = "mount --bind results/small results/small; mount -o remount,ro,bind results/small"
    closed = run(f'{mount}; "$@"', *built.command(rank=5))
    assert told(closed, "lakehouse results/small cannot be written: Read-only file system", "choose a folder")
    assert unharmed(built, before)


def as_one_who_obeys_modes() -> None:
    """Takes from root the right to write where modes forbid it; others have none."""
    if os.getuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@by_pipeline
def test_a_permission_lost_in_the_middle_is_named(built: Project) -> None:
    before, models = built.receipts(), built.lakehouse() / "gold" / "models" / "als"
    words = command_of("train_als", rank=150, max_iter=50)
    with subprocess.Popen(
        [sys.executable, *words], cwd=built.root, env=built.environment({"PYTHONPATH": "src"}), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=as_one_who_obeys_modes,  # noqa: PLW1509  # one thread
    ) as process:  # fmt: skip
        assert process.stdout
        said = next(process.stdout)
        models.chmod(0o500)
        said += process.stdout.read()
    models.chmod(0o755)
    assert told(subprocess.CompletedProcess(words, process.returncode, said), "no permission", "ls -ld")
    assert unharmed(built, before)


@by_pipeline
def test_too_few_open_files_and_too_small_a_heap_are_told_with_the_setting_that_helps(built: Project) -> None:
    before, words = built.receipts(), command_of("silver_ratings", sample_seed=5)
    few = by_hand(built, words, at_most(resource.RLIMIT_NOFILE, 10))
    assert told(few, "too many files are open", "ulimit -n")
    java = by_hand(built, [*words, "--memory", "200m"], lambda: None, {"RECO_ETL_ENGINE": "spark"})
    assert told(java, "Spark's Java ran out of memory", "driver_memory")
    assert unharmed(built, before)


def ends_without_memory(built: Project, setting: str, **asked: str) -> list[str]:
    """Runs gold with this setting of Spark, sees the run fail, and returns what its end says of the failed step."""
    built.path("tight.yaml").write_text(f"spark_conf:\n  {setting}\n", encoding="utf-8")
    shutil.rmtree(built.lakehouse() / "silver" / "ratings")
    ran = built.snakemake("gold", "--configfile", "tight.yaml", **asked)
    assert ran.code == 1
    return ran.output[ran.output.index("Failed: ") :].splitlines()


@by_pipeline
def test_a_java_that_runs_out_of_memory_ends_the_step_and_is_told(built: Project) -> None:
    before = built.receipts()
    setting = 'spark.driver.extraJavaOptions: "-XX:MaxMetaspaceSize=86m"'
    end = ends_without_memory(built, setting, engine="spark-ml", driver_memory="512m")
    assert "train_als" in end[0]
    assert "java.lang.OutOfMemoryError" in end[2]
    assert end[3].startswith("  next     --config driver_memory=")
    assert built.gold().code == 0
    assert built.receipts() == before


@by_pipeline
def test_a_python_worker_that_runs_out_of_memory_ends_the_step_and_is_told(built: Project) -> None:
    before = built.receipts()
    module, line = "src/reco_platform/cleaning/spark.py", "checked = check_batch(batch, rules)"
    built.edit(module, line, f"bytearray(8 << 30); {line}")
    end = ends_without_memory(built, "spark.executor.pyspark.memory: 4g", etl_engine="spark")
    assert "silver_ratings" in end[0]
    assert "a Python process of Spark ran out of memory" in end[2]
    assert end[3].startswith("  next     --cores 1")
    built.edit(module, f"bytearray(8 << 30); {line}", line)
    assert built.gold().code == 0
    assert built.receipts() == before


# --- clock, zone, locale, umask


@by_pipeline
def test_files_from_the_future_hinder_no_run_and_rerun_nothing(built: Project) -> None:
    """As after a clock that was set back: what was made is newer than what is made now."""
    later = time.time() + 86_400
    for path in [built.path("data/ratings.csv"), *built.lakehouse().rglob("*")]:
        os.utime(path, (later, later))
    before = built.receipts()
    assert built.gold().worked == set()
    assert built.receipts() == before
    assert built.gold(top_n=3).worked == {"recommend", "run_metrics", "metrics_table", "report"}
    assert built.gold(top_n=3).worked == set()


def modes(folder: Path, since: float = 0.0) -> set[int]:
    paths = [path for path in folder.rglob("*") if path.lstat().st_ctime > since and path.name != ".lock"]
    return {stat.S_IMODE(path.stat().st_mode) & (0o777 if path.is_file() else 0o700) for path in paths}


@by_pipeline
def test_a_table_made_in_another_zone_and_locale_under_a_narrow_umask_has_the_same_content(built: Project) -> None:
    before = built.receipts()
    shutil.rmtree(built.lakehouse() / "silver" / "ratings")
    shutil.rmtree(built.lakehouse() / "silver" / "_quarantine" / "ratings")
    since = max(path.lstat().st_ctime for path in built.lakehouse().rglob("*"))
    strange = {"TZ": "Europe/Berlin", "LC_ALL": "tr_TR.UTF-8", "LANG": "POSIX"}
    ran = by_hand(built, command_of("silver_ratings"), lambda: os.umask(0o077) and None, strange)
    assert ran.returncode == 0, ran.stdout
    assert modes(built.lakehouse() / "silver", since) == {0o600, 0o700}
    name = "silver/ratings.receipt.json"
    same = {"fingerprint", "rows", "schema_hash", "facts"}
    old, new = json.loads(before[name]), json.loads(built.receipts()[name])
    assert {key: old[key] for key in same} == {key: new[key] for key in same}


@by_pipeline
@pytest.mark.parametrize("engine", ["native", "spark"])
def test_hours_that_a_change_of_the_clock_skips_or_repeats_stay_apart(built: Project, engine: str) -> None:
    """In Berlin, 02:30 was never on 28 March 2021, and twice on 31 October."""
    instants = [
        datetime(2021, 3, 28, 1, 30, tzinfo=UTC),
        datetime(2021, 10, 31, 0, 30, tzinfo=UTC),
        datetime(2021, 10, 31, 1, 30, tzinfo=UTC),
    ]
    csv = built.path("data/ratings.csv")
    rows = [f"{user},1,3.0,{instant.timestamp():.0f}\n" for user, instant in enumerate(instants, 900_001)]
    csv.write_text(csv.read_text("utf-8") + "".join(rows))
    berlin = {"TZ": "Europe/Berlin", "RECO_ETL_ENGINE": engine}
    for step in ("bronze", "silver_ratings"):
        ran = by_hand(built, command_of(step), lambda: None, berlin)
        assert ran.returncode == 0, ran.stdout
    root = built.lakehouse()
    table = tables.open_table(root, receipts.read(root / "silver/ratings.receipt.json"), "").read()
    table = table.filter(pc.field("user_id") > 900_000).sort_by("user_id")
    assert table["rating_ts"].to_pylist() == instants
