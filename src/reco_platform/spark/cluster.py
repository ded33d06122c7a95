"""Where Spark runs if not in this process: its master, its settings, and what executors have to be given.

Nothing here shapes a result: a run gives the same receipts wherever its Spark is.
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
from typing import TYPE_CHECKING, Any

from reco_platform.core import project
from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.core.hashing import sha256
from reco_platform.core.network import connection_error
from reco_platform.store.atomic_write import write_bytes, write_private

if TYPE_CHECKING:
    from reco_platform.config.model import Config

# What Snakemake's main process tells every script: the master, and the file with Spark's settings.
MASTER, PROPERTIES = "RECO_SPARK_MASTER", "RECO_SPARK_PROPERTIES"

DEFAULTS = project.file("config/spark-defaults.conf")
LOOPBACK = Path("results/cluster")
PRIVATE = Path(".cache/spark")
ARCHIVES = Path(".cache/archives")

HERE = re.compile(r"^local|://(127\.0\.0\.1|localhost)[:/]")
ADDRESS = re.compile(r"([\w.-]+):(\d+)")
ADDRESSES_OF_THIS_MACHINE = ("spark.driver.host", "spark.driver.bindAddress")
AUTHENTICATE = "spark.authenticate"
CONNECT_SECONDS = 3.0
FIRST_ZIP_YEAR = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Process:
    """A process of the loopback cluster; `started` is in seconds since 1970."""

    name: str
    pid: int
    started: float


@dataclass(frozen=True)
class Loopback:
    """A standalone cluster on this machine, as tools/cluster.py has started it.

    Attributes:
        master: its address.
        ui: address of its page.
        mark: a word that stands on the command line of its processes and of no other, in the name of their settings.
        workers: how many.
        processes: the master and the workers.
    """

    master: str
    ui: str
    mark: str
    workers: int
    processes: list[Process]

    def settings(self, folder: Path) -> Path:
        """The file with its secret, which its owner alone can read."""
        return folder / f"{self.mark}.properties"

    def save(self, folder: Path) -> None:
        write_bytes(folder / "cluster.json", (json.dumps(asdict(self), indent=1) + "\n").encode())


def loopback(folder: Path = LOOPBACK) -> Loopback | None:
    """The cluster that was started on this machine; None where there is none."""
    try:
        found = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
        return Loopback(**{**found, "processes": [Process(**process) for process in found["processes"]]})
    except (OSError, ValueError, KeyError, TypeError):
        return None


# --- settings


def for_scripts(asked: Config, folder: Path = PRIVATE) -> dict[str, str]:
    """Environment variables by which scripts start Spark as configured.

    Settings are told in a file, and secrets with them: a command line could be read by anybody on this machine.
    """
    path = folder / f"{sha256(str(Path(asked.root).absolute()))[:16]}.properties"
    if asked.spark_master is None and not own_settings(asked):
        path.unlink(missing_ok=True)
        return {MASTER: "", PROPERTIES: str(DEFAULTS)}
    write_private(path, properties_text(settings(asked)))
    return {MASTER: asked.spark_master or "", PROPERTIES: str(path)}


def settings(asked: Config, cluster: Path = LOOPBACK) -> dict[str, str]:
    """Spark's settings by name: the project's, those that a cluster on this machine needs, then the user's."""
    found = read_properties(DEFAULTS)
    if asked.spark_master:
        del found[AUTHENTICATE]  # a cluster has a secret of its own, or none
    if asked.spark_master and not here(asked.spark_master):
        found = {name: value for name, value in found.items() if name not in ADDRESSES_OF_THIS_MACHINE}
    known = loopback(cluster)
    if known and known.master == asked.spark_master:
        found |= read_properties(known.settings(cluster))
    # spark.pyspark.python is that of executors; without this it would be the driver's too.
    return found | {"spark.pyspark.driver.python": sys.executable} | own_settings(asked)


def own_settings(asked: Config) -> dict[str, str]:
    """What the user has set: executors, then spark_conf."""
    found: dict[str, Any] = {
        "spark.executor.memory": asked.executor_memory,
        "spark.executor.cores": asked.executor_cores,
        "spark.executor.instances": asked.executor_instances,
    }
    if asked.executor_instances and (asked.spark_master or "").startswith("spark://"):
        # A standalone master counts cores and not executors.
        cores = asked.executor_cores or 1
        found |= {"spark.executor.cores": cores, "spark.cores.max": cores * asked.executor_instances}
    return {name: str(value) for name, value in found.items() if value is not None} | asked.spark_conf


def read_properties(path: Path) -> dict[str, str]:
    """Settings of a file with a name and a value on each line."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = (re.split(r"[\s=]+", line, maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}  # noqa: C416  # mypy takes no list for a pair


def properties_text(values: Mapping[str, str]) -> str:
    """Settings as Java's Properties read them."""
    escaped = {name: value.replace("\\", "\\\\").replace("\n", "\\n") for name, value in values.items()}
    return "".join(f"{name}={value}\n" for name, value in sorted(escaped.items()))


# --- the master


def here(master: str) -> bool:
    """Whether a master, and so everything that talks to it, is on this machine."""
    return HERE.search(master) is not None


def in_one_process(master: str | None) -> bool:
    """Whether tasks are threads of the driver."""
    return (master or "").startswith("local[")


def require(master: str) -> None:
    """Makes sure that something answers at a master's address, before Spark tries for a minute.

    Raises:
        EnvironmentProblemError: if nothing does.
    """
    if master == "yarn" and not any(os.environ.get(name) for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR")):
        raise EnvironmentProblemError(
            "spark_master=yarn, and HADOOP_CONF_DIR does not say where YARN is",
            "export HADOOP_CONF_DIR=/etc/hadoop/conf, or wherever yarn-site.xml lies",
        )
    addresses = [(host, int(port)) for host, port in ADDRESS.findall(master.partition("://")[2])]
    silent = [(host, port, connection_error(host, port, CONNECT_SECONDS)) for host, port in addresses]
    problems = [f"{host}:{port} {why}" for host, port, why in silent if why]
    if addresses and len(problems) == len(addresses):
        hint = "make cluster" if here(master) else "start it, or mend spark_master (docs/scale.md)"
        raise EnvironmentProblemError(f"no Spark master answers at {master}: {'; '.join(problems)}", hint)


# --- code


def archive(folder: Path = ARCHIVES) -> Path:
    """A zip of this package for executors, made where it is not there yet: same code, same bytes, same name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(project.PACKAGE.rglob("*.py")):
            member = zipfile.ZipInfo(str(path.relative_to(project.PACKAGE.parent)), FIRST_ZIP_YEAR)
            bundle.writestr(member, path.read_bytes(), zipfile.ZIP_DEFLATED)
    target = folder / f"reco_platform-{hashlib.sha256(out.getvalue()).hexdigest()[:16]}.zip"
    if not target.is_file():
        write_bytes(target, out.getvalue())
    return target
