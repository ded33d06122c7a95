"""Translate OS resource errors (disk, memory, open files, permissions) into user messages with a next step."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from reco_platform.core import project
from reco_platform.core.errors import EnvironmentProblemError

RERUN = "then run the same command again: finished results are kept"
SPACE_HINT = f"free some (df -h; reco prune --config retain_versions=5 lists old results), {RERUN}"

ERRNO_MESSAGES = {
    errno.ENOSPC: ("no space is left on the disk", SPACE_HINT),
    errno.EDQUOT: ("the disk quota is used up", SPACE_HINT),
    errno.EFBIG: ("a file would exceed the file size limit", f"ulimit -f unlimited, {RERUN}"),
    errno.EROFS: (
        "the file system is read-only",
        "mount it for writing, or use --config lakehouse=FOLDER",
    ),
    errno.EACCES: ("no permission to read or write it", f"check its permissions (ls -ld), correct them, {RERUN}"),
    errno.EPERM: ("no permission to change it", f"check its permissions (ls -ld; lsattr -d), correct them, {RERUN}"),
    errno.EMFILE: ("too many files are open", f"ulimit -n 4096, {RERUN}"),
    errno.ENFILE: ("too many files are open on this machine", f"raise the limit (sysctl fs.file-max), {RERUN}"),
    errno.EIO: ("the disk reports an I/O error", "dmesg shows which disk; restore its content from a copy"),
}
"""Message and hint for each error number."""

NATIVE_MEMORY = (
    "out of memory",
    "--cores 1 and --resources mem_mb=4000, so that steps do not run at the same time; or --config etl_engine=spark "
    "engine=spark-ml, which process the data in parts",
)
JAVA_MEMORY = ("Spark's Java ran out of memory", "--config driver_memory=8g, or as much as the machine has")
KILLED_HINT = (
    "dmesg shows whether the machine ran out of memory; if so, use --cores 1, or --config driver_memory=... for a step "
    "that runs on Spark"
)
JAVA_ENDED = ("Spark's Java was killed or crashed", KILLED_HINT)
EXECUTOR_MEMORY = ("an executor ran out of memory", "--config executor_memory=8g, or as much as its worker has")
EXECUTOR_LOST = (
    "executors of the cluster exited one after the other",
    "read their logs in the work folder of each worker; if they ran out of memory (exit code 52 or 137), use "
    "--config executor_memory=8g",
)
WORKER_MEMORY = (
    "a Python process of Spark ran out of memory",
    "--cores 1, so that fewer run at once; on a cluster fewer executor_cores; or a larger "
    "spark.executor.pyspark.memory, if spark_conf sets one",
)
WORKER_LOST = (
    "a Python process of Spark exited without reporting a status",
    "dmesg shows whether the machine ran out of memory; if so, use --cores 1, so that fewer run at once; on a cluster "
    "fewer executor_cores",
)

LIBRARY_MESSAGES = tuple(
    (re.compile(pattern), message)
    for pattern, message in {
        r"executor \d+\): java\.lang\.OutOfMemoryError": EXECUTOR_MEMORY,
        "OutOfMemoryError|GC overhead limit|Java heap space|increase heap size": JAVA_MEMORY,
        r"thrown from the Python worker:(?s:.)*MemoryError": WORKER_MEMORY,
        "MemoryError|can't start new thread|Cannot allocate memory|failed to map segment": NATIVE_MEMORY,
        "std::bad_alloc|LLVM ERROR: out of memory": NATIVE_MEMORY,
        "ExecutorLostFailure": EXECUTOR_LOST,
        "Python worker exited unexpectedly": WORKER_LOST,
    }.items()
)
"""Patterns in the messages of libraries that give no error number. The more specific ones come first, because Spark
quotes the errors of its parts."""

ERRNO_IN_TEXT = re.compile(r"\(os error (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
STRERROR_NUMBERS = {
    "No space left on device": errno.ENOSPC,
    "File too large": errno.EFBIG,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
    "Too many open files": errno.EMFILE,
}
"""Texts of strerror that libraries, Java's above all, quote without the number."""


def resource_error(error: BaseException) -> EnvironmentProblemError | None:
    """The error as one that the user can correct; None if it does not come from a limit of the machine."""
    if isinstance(error, MemoryError):
        return EnvironmentProblemError(*NATIVE_MEMORY)
    path = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    number = error_number(error)
    if number in ERRNO_MESSAGES:
        message, hint = ERRNO_MESSAGES[number]
        return EnvironmentProblemError(path + message, with_folder(hint, error))
    found = library_message(str(error))
    return EnvironmentProblemError(*found) if found else None


def library_message(text: str) -> tuple[str, str] | None:
    """Message and hint for the text of a library's error; None if it does not come from a limit of the machine."""
    return next((message for pattern, message in LIBRARY_MESSAGES if pattern.search(text)), None)


def error_number(error: BaseException) -> int | None:
    """The error number of the operating system, from `errno` or from a library's text; None if there is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    text = str(error)
    found = ERRNO_IN_TEXT.search(text)
    if found:
        return int(found[1] or found[2])
    return next((number for strerror, number in STRERROR_NUMBERS.items() if strerror in text), None)


def with_folder(hint: str, error: BaseException) -> str:
    """A hint whose commands name the folder of the file that the error names, if it names one."""
    if not isinstance(error, OSError) or not error.filename:
        return hint
    folder = project.as_typed_path(Path(str(error.filename)).parent)
    return hint.replace("df -h;", f"df -h '{folder}';").replace("ls -ld", f"ls -ld '{folder}'")
