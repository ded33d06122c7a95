"""Run Spark on a cluster: its master, its settings and secrets, and the package's code for executors.

Results do not depend on anything here: a run gives the same receipts wherever Spark runs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from reco_platform.core import project
from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.core.hashing import sha256
from reco_platform.core.network import connection_error
from reco_platform.store.atomic_write import write_bytes, write_private

# Environment variables by which Snakemake's main process passes Spark's master and properties file to every script.
MASTER_VARIABLE, PROPERTIES_VARIABLE = "RECO_SPARK_MASTER", "RECO_SPARK_PROPERTIES"

DEFAULT_PROPERTIES = project.file("config/spark-defaults.conf")
LOCAL_CLUSTER_FOLDER = Path("results/cluster")
PROPERTIES_FOLDER = Path(".cache/spark")
ARCHIVE_FOLDER = Path(".cache/archives")

LOCAL_MASTER = re.compile(r"^local|://(127\.0\.0\.1|localhost)[:/]")
HOST_AND_PORT = re.compile(r"([\w.-]+):(\d+)")
LOOPBACK_SETTINGS = ("spark.driver.host", "spark.driver.bindAddress")
AUTHENTICATE = "spark.authenticate"
CONNECT_SECONDS = 3.0
FIRST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class SparkConfig(Protocol):
    """The configuration keys that decide where Spark runs and with which settings."""

    @property
    def root(self) -> str: ...
    @property
    def spark_master(self) -> str | None: ...
    @property
    def executor_memory(self) -> str | None: ...
    @property
    def executor_cores(self) -> int | None: ...
    @property
    def executor_instances(self) -> int | None: ...
    @property
    def spark_conf(self) -> dict[str, str]: ...


# --- the cluster of local_cluster


@dataclass(frozen=True)
class ClusterProcess:
    """A process of the local cluster; `started` is in seconds since 1970."""

    name: str
    pid: int
    started: float


@dataclass(frozen=True)
class LocalCluster:
    """A standalone cluster on this machine, as tools/cluster.py has started it.

    Attributes:
        master: its URL, spark://host:port.
        ui: URL of its web page.
        mark: a random word in the name of its properties file, which stands on its processes' command lines only.
        workers: number of workers.
        processes: the master and the workers.
    """

    master: str
    ui: str
    mark: str
    workers: int
    processes: list[ClusterProcess]

    def properties_file(self, folder: Path) -> Path:
        """The file with the cluster's settings and its secret, which only its owner can read."""
        return folder / f"{self.mark}.properties"

    def save(self, folder: Path) -> None:
        write_bytes(folder / "cluster.json", (json.dumps(asdict(self), indent=1) + "\n").encode())


def read_local_cluster(folder: Path = LOCAL_CLUSTER_FOLDER) -> LocalCluster | None:
    """The cluster that was started on this machine; None if there is none."""
    try:
        found = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
        return LocalCluster(**{**found, "processes": [ClusterProcess(**process) for process in found["processes"]]})
    except (OSError, ValueError, KeyError, TypeError):
        return None


# --- settings


def script_environment(config: SparkConfig, folder: Path = PROPERTIES_FOLDER) -> dict[str, str]:
    """Writes Spark's settings to a properties file, and returns the environment variables by which scripts find them.

    Settings may contain secrets, so they are in a private file: anybody on this machine can read a command line.
    """
    path = folder / f"{sha256(str(Path(config.root).absolute()))[:16]}.properties"
    if config.spark_master is None and not user_settings(config):
        path.unlink(missing_ok=True)
        return {MASTER_VARIABLE: "", PROPERTIES_VARIABLE: str(DEFAULT_PROPERTIES)}
    write_private(path, properties_text(spark_settings(config)))
    return {MASTER_VARIABLE: config.spark_master or "", PROPERTIES_VARIABLE: str(path)}


def spark_settings(config: SparkConfig, local_cluster: Path = LOCAL_CLUSTER_FOLDER) -> dict[str, str]:
    """Spark's settings by name. The user's override those of a local cluster, which override the project's.

    Args:
        config: the configuration.
        local_cluster: the folder of the cluster on this machine.
    """
    found = read_properties(DEFAULT_PROPERTIES)
    if config.spark_master:
        del found[AUTHENTICATE]  # a cluster has a secret of its own, or none
    if config.spark_master and not is_local_master(config.spark_master):
        found = {name: value for name, value in found.items() if name not in LOOPBACK_SETTINGS}
    known = read_local_cluster(local_cluster)
    if known and known.master == config.spark_master:
        found |= read_properties(known.properties_file(local_cluster))
    # spark.pyspark.python is meant for executors; without this setting the driver would use it too.
    return found | {"spark.pyspark.driver.python": sys.executable} | user_settings(config)


def user_settings(config: SparkConfig) -> dict[str, str]:
    """The settings that the user chose: executors, then spark_conf."""
    found: dict[str, Any] = {
        "spark.executor.memory": config.executor_memory,
        "spark.executor.cores": config.executor_cores,
        "spark.executor.instances": config.executor_instances,
    }
    if config.executor_instances and (config.spark_master or "").startswith("spark://"):
        # A standalone master limits cores and not executors.
        cores = config.executor_cores or 1
        found |= {"spark.executor.cores": cores, "spark.cores.max": cores * config.executor_instances}
    return {name: str(value) for name, value in found.items() if value is not None} | config.spark_conf


def read_properties(path: Path) -> dict[str, str]:
    """Settings of a file with a name and a value on each line."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = (re.split(r"[\s=]+", line, maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}  # noqa: C416  # mypy takes no list for a pair


def properties_text(values: Mapping[str, str]) -> str:
    """Settings in the format of Java's Properties."""
    escaped = {name: value.replace("\\", "\\\\").replace("\n", "\\n") for name, value in values.items()}
    return "".join(f"{name}={value}\n" for name, value in sorted(escaped.items()))


# --- the master


def master_of(environ: Mapping[str, str]) -> str:
    """The master that a script's environment names, or "local"."""
    return environ.get(MASTER_VARIABLE) or "local"


def is_local_master(master: str) -> bool:
    """Whether a master, and so every process that connects to it, is on this machine."""
    return LOCAL_MASTER.search(master) is not None


def runs_in_driver(master: str | None) -> bool:
    """Whether tasks are threads of the driver process."""
    return (master or "").startswith("local[")


def check_master(master: str) -> None:
    """Checks that a master accepts connections, because Spark itself tries for a minute.

    Raises:
        EnvironmentProblemError: none of its addresses does, or YARN's address is unknown.
    """
    if master == "yarn" and not any(os.environ.get(name) for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR")):
        raise EnvironmentProblemError(
            "spark_master=yarn, but HADOOP_CONF_DIR is not set, so the address of YARN is unknown",
            "export HADOOP_CONF_DIR=/etc/hadoop/conf, or the folder that contains yarn-site.xml",
        )
    addresses = [(host, int(port)) for host, port in HOST_AND_PORT.findall(master.partition("://")[2])]
    reasons = [(host, port, connection_error(host, port, CONNECT_SECONDS)) for host, port in addresses]
    problems = [f"{host}:{port} {reason}" for host, port, reason in reasons if reason]
    if addresses and len(problems) == len(addresses):
        start = project.command("cluster", "start")
        hint = start if is_local_master(master) else "start it, or correct spark_master (docs/scale.md)"
        raise EnvironmentProblemError(f"no Spark master answers at {master}: {'; '.join(problems)}", hint)


# --- code


def package_archive(folder: Path = ARCHIVE_FOLDER) -> Path:
    """A zip of this package for executors, built if missing. The same code gives the same bytes and file name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(project.PACKAGE.rglob("*.py")):
            member = zipfile.ZipInfo(str(path.relative_to(project.PACKAGE.parent)), FIRST_ZIP_DATE)
            bundle.writestr(member, path.read_bytes(), zipfile.ZIP_DEFLATED)
    target = folder / f"reco_platform-{hashlib.sha256(out.getvalue()).hexdigest()[:16]}.zip"
    if not target.is_file():
        write_bytes(target, out.getvalue())
    return target
