"""What the machine refuses (space, memory, open files, permissions), in words that say what helps."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from reco_platform.core.errors import EnvironmentProblemError

AGAIN = "then run the same command again: what is finished stays"
SPACE = f"free some (df -h; tools/run_pipeline.py prune --config retain_versions=5 lists old results), {AGAIN}"
LIMITS = {
    errno.ENOSPC: ("no space is left on the disk", SPACE),
    errno.EDQUOT: ("the quota on the disk is used up", SPACE),
    errno.EFBIG: ("a file would be larger than is allowed", f"ulimit -f unlimited, {AGAIN}"),
    errno.EROFS: (
        "the file system is read-only",
        "mount it for writing, or --config lakehouse=FOLDER",
    ),
    errno.EACCES: ("it may not be read or written", f"see who may (ls -ld), mend that, {AGAIN}"),
    errno.EPERM: ("it may not be changed", f"see who may (ls -ld; lsattr -d), mend that, {AGAIN}"),
    errno.EMFILE: ("too many files are open", f"ulimit -n 4096, {AGAIN}"),
    errno.ENFILE: ("too many files are open on this machine", f"sysctl fs.file-max tells how many may be, {AGAIN}"),
    errno.EIO: ("the disk fails", "dmesg tells which; restore what it holds from a copy"),
}
NATIVE_MEMORY = (
    "memory ran out",
    "--cores 1 and --resources mem_mb=4000 keep steps from running side by side; --config etl_engine=spark "
    "engine=spark-ml work in pieces",
)
JAVA_MEMORY = ("the memory of Spark's Java ran out", "--config driver_memory=8g, or as much as the machine has")
KILLED = (
    "dmesg tells whether memory ran out: then --cores 1, or --config driver_memory=... where the step is one of Spark"
)
JAVA_ENDED = ("Spark's Java was killed, or crashed", KILLED)
EXECUTOR_MEMORY = ("the memory of an executor ran out", "--config executor_memory=8g, or as much as its worker has")
EXECUTOR_LOST = (
    "executors of the cluster ended one after the other",
    "their logs tell why (the work folder of each worker); where memory ran out (exit code 52 or 137), "
    "--config executor_memory=8g helps",
)
WORKER_MEMORY = (
    "memory ran out in a Python process of Spark",
    "--cores 1, so that fewer work at once; on a cluster fewer executor_cores; or a larger "
    "spark.executor.pyspark.memory, where spark_conf sets one",
)
WORKER_LOST = (
    "a Python process of Spark ended without a word",
    "dmesg tells whether memory ran out: then --cores 1, so that fewer work at once; on a cluster fewer executor_cores",
)
SAID = tuple(
    (re.compile(pattern), told)
    for pattern, told in {
        r"executor \d+\): java\.lang\.OutOfMemoryError": EXECUTOR_MEMORY,
        "OutOfMemoryError|GC overhead limit|Java heap space|increase heap size": JAVA_MEMORY,
        r"thrown from the Python worker:(?s:.)*MemoryError": WORKER_MEMORY,
        "MemoryError|can't start new thread|Cannot allocate memory|failed to map segment": NATIVE_MEMORY,
        "std::bad_alloc|LLVM ERROR: out of memory": NATIVE_MEMORY,
        "ExecutorLostFailure": EXECUTOR_LOST,
        "Python worker exited unexpectedly": WORKER_LOST,
    }.items()
)
"""What libraries say of limits without a number; the more telling comes first, since Spark quotes others."""

NUMBERED = re.compile(r"\(os error (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
JAVAS = {
    "No space left on device": errno.ENOSPC,
    "File too large": errno.EFBIG,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
    "Too many open files": errno.EMFILE,
}
"""What libraries quote of strerror."""


def refused(error: BaseException) -> EnvironmentProblemError | None:
    """The error as one that a person can mend; None where it is none of the machine's limits."""
    if isinstance(error, MemoryError):
        return EnvironmentProblemError(*NATIVE_MEMORY)
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    number = number_of(error)
    if number in LIMITS:
        what, hint = LIMITS[number]
        return EnvironmentProblemError(where + what, at(hint, error))
    told = told_of(str(error))
    return EnvironmentProblemError(*told) if told else None


def told_of(text: str) -> tuple[str, str] | None:
    """What ran out by the words of a library, and what helps."""
    return next((told for pattern, told in SAID if pattern.search(text)), None)


def number_of(error: BaseException) -> int | None:
    """The system's number for what went wrong, from wherever a library says it."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    text = str(error)
    found = NUMBERED.search(text)
    if found:
        return int(found[1] or found[2])
    return next((number for said, number in JAVAS.items() if said in text), None)


def at(hint: str, error: BaseException) -> str:
    """A hint with the folder in its commands, where the error names a file."""
    if not isinstance(error, OSError) or not error.filename:
        return hint
    folder = Path(str(error.filename)).parent
    return hint.replace("df -h;", f"df -h '{folder}';").replace("ls -ld", f"ls -ld '{folder}'")
