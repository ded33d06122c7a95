"""Run a script with spark-submit: its command line, and an environment free of the user's own Spark settings."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from reco_platform.core import project
from reco_platform.spark import cluster
from reco_platform.spark.java import find_java, spark_home
from reco_platform.store.atomic_write import current_umask

EVENT_LOG_VARIABLE = "RECO_SPARK_EVENTS"
"""Environment variable: the folder for Spark's event logs in a run that keeps them; empty or unset for none."""

LOG4J_FILE = project.file("config/log4j2.properties")

# For small data the first JIT tier and the serial collector halve the processor time of a job of seconds.
SMALL_INPUT_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
SMALL_INPUT_BYTES = 64_000_000
SHUFFLE_PARTITION_BYTES = 32_000_000  # of CSV in one shuffle partition, so that it is sorted in memory
STACK_SIZE = "-Xss32m"  # ALS's lineage grows with its iterations, and Spark walks it by recursion

USER_VARIABLES = (
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
"""The user's own Spark, Hadoop, Java and Python settings, which must not change a run."""


def spark_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for spark-submit: `environ` without `USER_VARIABLES`, with this Python, Java and Spark.

    Raises:
        EnvironmentProblemError: there is no supported Java, or no pyspark.
    """
    kept = {key: value for key, value in environ.items() if key not in USER_VARIABLES}
    own = {
        "JAVA_HOME": str(find_java(environ)),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_HOME": str(spark_home()),
        "PYTHONPATH": project.python_path(),
    }
    # Executors on other machines must reach this one by an address that they can see.
    local = cluster.is_local_master(cluster.master_of(environ))
    return kept | own | ({"SPARK_LOCAL_IP": "127.0.0.1"} if local else {})


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
        arguments: the script's own arguments.
        threads: local threads of Spark, where there is no cluster.
        memory: the driver's heap, such as 2g.
        input_bytes: size of the data, which decides the number of shuffle partitions and the JVM's options.
        options: further options of spark-submit.
        environ: environment variables, which name the cluster.

    Raises:
        EnvironmentProblemError: the cluster does not answer.
    """
    master = environ.get(cluster.MASTER_VARIABLE)
    if master:
        cluster.check_master(master)
    return [
        str(spark_home() / "bin" / "spark-submit"),
        "--master", master or f"local[{threads}]",
        "--driver-memory", memory,
        # Not --driver-java-options, which would replace the user's spark.driver.extraJavaOptions.
        "--conf", f"spark.driver.defaultJavaOptions={' '.join(java_options(input_bytes))}",
        "--properties-file", environ.get(cluster.PROPERTIES_VARIABLE) or str(cluster.DEFAULT_PROPERTIES),
        "--conf", f"spark.hadoop.fs.permissions.umask-mode={current_umask():03o}",  # Hadoop's default is 022
        "--conf", f"spark.sql.shuffle.partitions={max(threads, input_bytes // SHUFFLE_PARTITION_BYTES)}",
        *event_log_options(),
        *options,
        script,
        *arguments,
    ]  # fmt: skip


def event_log_options(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Options of spark-submit that write event logs for Spark's history server, where the run asks for them."""
    folder = environ.get(EVENT_LOG_VARIABLE)
    if not folder:
        return []
    Path(folder).mkdir(parents=True, exist_ok=True)
    settings = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": Path(folder).resolve().as_uri()}
    return [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]


def java_options(input_bytes: int) -> list[str]:
    """Options of the driver's JVM."""
    return [
        STACK_SIZE,
        "-XX:+ExitOnOutOfMemoryError",  # without it a JVM that is out of memory may hang forever
        f"-Dlog4j.configurationFile={LOG4J_FILE.as_uri()}",
        f'"-Djava.io.tmpdir={tempfile.gettempdir()}"',  # Java ignores TMPDIR; Spark's own files are there too
        "-XX:-UsePerfData",  # its files are always in /tmp and stay after a kill
        *(SMALL_INPUT_JVM if input_bytes < SMALL_INPUT_BYTES else ()),
    ]


def exec_spark_submit(command: list[str]) -> None:
    """Replaces this process by spark-submit, with a command of `submit_command`; does not return.

    Raises:
        EnvironmentProblemError: there is no supported Java.
    """
    environment = spark_environment()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606  # no shell is wanted


def in_spark_submit(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether spark-submit started this process."""
    return "PYSPARK_GATEWAY_PORT" in environ


def spark_java_exited() -> bool:
    """Whether the Java process of spark-submit, which started this process, has exited."""
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415  # only after a failure

    return in_spark_submit() and all(parent.name() != "java" for parent in psutil.Process().parents())
