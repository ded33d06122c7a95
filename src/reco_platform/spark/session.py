"""Java, spark-submit and the Spark session: found, isolated from the user's own, and set up the same everywhere."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reco_platform.core import project
from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.spark import cluster
from reco_platform.store.atomic_write import current_umask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA_VERSIONS = (17, 21)
EVENT_LOGS = "RECO_SPARK_EVENTS"
"""Names the folder of Spark's event logs in a run that keeps them."""

LOGGING = project.file("config/log4j2.properties")
JAVA_HINT = "install Java 17 or 21 (Debian, Ubuntu: apt install openjdk-17-jre-headless), or set JAVA_HOME to one"

# Settings that may shape a result; they are code so that a change of one is seen.
RESULT_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.sources.partitionOverwriteMode": "static",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
}

# Settings by which Spark decides, silently, in what order rows arrive: ALS adds them up in that order.
ORDER_SETTINGS = ("spark.default.parallelism", "spark.memory.fraction", "spark.memory.storageFraction")

# For small data: the quick compiler alone and the simplest collector halve the processor time of a job of seconds.
LIGHT_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
LIGHT_BYTES = 64_000_000
PARTITION_BYTES = 32_000_000  # of CSV for a piece of a shuffle, so that it is sorted in memory
DEEP_STACK = "-Xss32m"  # ALS's lineage grows with its iterations, and is read by recursion

# The user's own Spark, Hadoop and Python settings, which would otherwise leak in.
FOREIGN = (
    "SPARK_HOME",
    "SPARK_CONF_DIR",
    "SPARK_DIST_CLASSPATH",
    "SPARK_CLASSPATH",
    "SPARK_SUBMIT_OPTS",
    "SPARK_ENV_LOADED",
    "HADOOP_HOME",
    "HADOOP_CLASSPATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYSPARK_DRIVER_PYTHON",
    "PYSPARK_DRIVER_PYTHON_OPTS",
    "PYSPARK_SUBMIT_ARGS",
    "PYSPARK_PIN_THREAD",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "CLASSPATH",
    "SPARK_MASTER",
    "MASTER",
)


def java_candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Places where a Java may be, the user's choice first."""
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"])
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path:
        yield Path(on_path).resolve().parents[1]
    for folder in (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"), Path("/opt/java")):
        for home in sorted(folder.glob("*")) if folder.is_dir() else ():
            yield home / "Contents/Home" if (home / "Contents/Home").is_dir() else home


def java_version(home: Path) -> int | None:
    """The major version of the Java in a folder; None if there is none."""
    try:
        text = (home / "release").read_text(encoding="utf-8")
    except OSError:
        try:
            run = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=False)
        except OSError:
            return None
        text = run.stderr
    found = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(found[1]) if found and (home / "bin" / "java").exists() else None


def find_java(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of a suitable Java.

    Raises:
        EnvironmentProblemError: if there is none, naming those that were found and do not do.
    """
    unsuitable = []
    for home in java_candidates(environ):
        version = java_version(home)
        if version in JAVA_VERSIONS:
            return home
        if version is not None:
            unsuitable.append(f"Java {version} in {home}")
    found = f"only {', '.join(dict.fromkeys(unsuitable))}" if unsuitable else "none was found"
    raise EnvironmentProblemError(f"Spark needs Java 17 or 21, and {found}", JAVA_HINT)


def spark_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for spark-submit: this one, without another Spark, Java or Python in it."""
    kept = {key: value for key, value in environ.items() if key not in FOREIGN}
    own = {
        "JAVA_HOME": str(find_java(environ)),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_HOME": str(spark_home()),
        "PYTHONPATH": project.python_path(),
    }
    # Executors elsewhere have to reach this machine by an address that they can see.
    return kept | own | ({"SPARK_LOCAL_IP": "127.0.0.1"} if cluster.here(master_of(environ)) else {})


def master_of(environ: Mapping[str, str]) -> str:
    return environ.get(cluster.MASTER) or "local"


def spark_home() -> Path:
    from importlib.util import find_spec  # noqa: PLC0415

    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise EnvironmentProblemError("pyspark is not installed in this Python", "make setup")
    return Path(spec.origin).parent


def submit_command(
    script: str,
    arguments: Sequence[str],
    *,
    threads: int,
    memory: str,
    input_bytes: int = 0,
    options: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """The spark-submit command line for a script, on the cluster that the run's configuration names.

    Args:
        script: path of the script.
        arguments: its own.
        threads: local threads of Spark, where it is on no cluster.
        memory: the driver's heap.
        input_bytes: size of the data, which decides how many pieces a shuffle has and how the JVM compiles.
        options: more of spark-submit's own.
        environ: environment variables, which name the cluster.

    Raises:
        EnvironmentProblemError: if the cluster does not answer.
    """
    master = environ.get(cluster.MASTER)
    if master:
        cluster.require(master)
    return [
        str(spark_home() / "bin" / "spark-submit"),
        "--master", master or f"local[{threads}]",
        "--driver-memory", memory,
        # Not --driver-java-options, which would take the place of the user's spark.driver.extraJavaOptions.
        "--conf", f"spark.driver.defaultJavaOptions={' '.join(java_options(input_bytes))}",
        "--properties-file", environ.get(cluster.PROPERTIES) or str(cluster.DEFAULTS),
        "--conf", f"spark.hadoop.fs.permissions.umask-mode={current_umask():03o}",  # Hadoop's own would be 022
        "--conf", f"spark.sql.shuffle.partitions={max(threads, input_bytes // PARTITION_BYTES)}",
        *event_log_options(),
        *options,
        script,
        *arguments,
    ]  # fmt: skip


def event_log_options(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Options of spark-submit that keep what Spark's history server shows, where the run asks for it."""
    folder = environ.get(EVENT_LOGS)
    if not folder:
        return []
    Path(folder).mkdir(parents=True, exist_ok=True)
    settings = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": Path(folder).resolve().as_uri()}
    return [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]


def java_options(input_bytes: int) -> list[str]:
    """Options of the driver's JVM."""
    return [
        DEEP_STACK,
        "-XX:+ExitOnOutOfMemoryError",  # a Java without memory may otherwise go on without its threads, for ever
        f"-Dlog4j.configurationFile={LOGGING.as_uri()}",
        f'"-Djava.io.tmpdir={tempfile.gettempdir()}"',  # Java knows no TMPDIR; Spark's own files lie there too
        "-XX:-UsePerfData",  # which lies in /tmp whatever one says, also after a kill
        *(LIGHT_JVM if input_bytes < LIGHT_BYTES else ()),
    ]


def submit(command: list[str]) -> None:
    """Goes on as spark-submit, by a command of `submit_command`; does not return.

    Raises:
        EnvironmentProblemError: if there is no suitable Java.
    """
    environment = spark_environment()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606  # no shell is wanted


def submitted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started by spark-submit."""
    return "PYSPARK_GATEWAY_PORT" in environ


def java_is_gone() -> bool:
    """Whether spark-submit's Java, from which this process comes, has ended."""
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415  # set-up, which looks for Java, has no packages

    return submitted() and all(one.name() != "java" for one in psutil.Process().parents())


def spark_session(name: str, log_level: str = "warn") -> SparkSession:
    """The session of a step, with the settings that its result depends on; executors elsewhere get the project's code.

    Raises:
        EnvironmentProblemError: if a cluster does not take the application.
    """
    from pyspark.sql import SparkSession  # noqa: PLC0415

    builder = SparkSession.builder.appName(name)
    for key, value in RESULT_SETTINGS.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # whatever of Java's it is
        raise not_taken(error) from error
    session.sparkContext.setLogLevel(log_level.upper())
    if not cluster.in_one_process(session.sparkContext.master):
        session.sparkContext.addPyFile(str(cluster.archive()))
        atexit.register(session.stop)  # executors are told, instead of being found lost
    return session


def not_taken(error: Exception) -> Exception:
    """What is to be raised where a session could not be had: an error of the user's, where it is of a cluster."""
    master = master_of(os.environ)
    if master == "local":
        return error
    lines = [line.strip(": ") for line in str(error).splitlines() if line.strip() and "An error occurred" not in line]
    return EnvironmentProblemError(
        f"the Spark master at {master} did not take this application: {lines[0] if lines else type(error).__name__}",
        "see the lines above, and whether spark.authenticate.secret in spark_conf is that of the cluster",
    )
