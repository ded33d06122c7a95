"""A standalone Spark cluster on this machine: a master and workers, from the same pyspark, on the loopback alone.

`reco cluster start` starts it, or says that it runs; `reco cluster stop` ends exactly these processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from reco_platform.core import network
from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.spark import cluster, java, submit
from reco_platform.spark.cluster import ClusterProcess, LocalCluster
from reco_platform.store.atomic_write import write_private

HOST = "127.0.0.1"
START_SECONDS = 90.0
STOP_SECONDS = 20.0
CLOCKS = 2.0  # seconds by which the time of a process's start may seem to move with the clock
JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # they only keep books


@dataclass(frozen=True)
class Size:
    """The size of a cluster.

    Attributes:
        workers: number of workers.
        cores: of each worker.
        memory: that each worker may give to executors, such as 4g.
    """

    workers: int
    cores: int
    memory: str


def start(folder: Path, size: Size, port: int) -> None:
    """Starts the cluster where it does not run as a whole.

    Args:
        folder: for logs, the secret and process ids.
        size: of a new cluster.
        port: of the master; its page has the next but two, and each worker's page follows.

    Raises:
        EnvironmentProblemError: if a port is taken, or it does not come up in time.
    """
    with locked(folder):
        known = cluster.read_local_cluster(folder)
        if known and all(running(known, process, folder) for process in known.processes):
            describe(known, "runs already", folder)
            return
        if known:
            end(known, folder)
        describe(started(folder, size, port), "started", folder)


def started(folder: Path, size: Size, master_port: int) -> LocalCluster:
    """A new cluster, its workers registered; see `start`."""
    page = master_port + 3
    for port in (master_port, page):
        if network.connection_error(HOST, port, cluster.CONNECT_SECONDS) is None:
            raise EnvironmentProblemError(
                f"port {port} is taken by another program", f"reco cluster start --port {master_port + 100}"
            )
    found = LocalCluster(
        f"spark://{HOST}:{master_port}", f"http://{HOST}:{page}", secrets.token_hex(8), size.workers, []
    )
    settings = found.properties_file(folder)
    write_private(settings, cluster.properties_text(guarded()))
    try:
        add(found, folder, "master", ["--host", HOST, "--port", str(master_port), "--webui-port", str(page)])
        wait_for(found, 0, folder)
        for number in range(1, found.workers + 1):
            limits = ["--cores", str(size.cores), "--memory", size.memory]
            place = ["--host", HOST, "--webui-port", str(page + number), "--work-dir", str((folder / "work").resolve())]
            add(found, folder, f"worker-{number}", [*place, *limits, found.master])
        wait_for(found, found.workers, folder)
    except BaseException:
        end(found, folder)
        forget(folder)
        raise
    return found


def guarded() -> dict[str, str]:
    """Settings by which only the owner's programs are let in, with a new secret."""
    return {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secrets.token_urlsafe(32),
        "spark.network.crypto.enabled": "true",
        "spark.master.rest.enabled": "false",
        "spark.ui.killEnabled": "false",
        "spark.worker.cleanup.enabled": "true",
    }


def add(found: LocalCluster, folder: Path, name: str, words: list[str]) -> None:
    """Starts the master or a worker, apart from this process and its terminal."""
    role = name.partition("-")[0]
    command = [str(java.spark_home() / "bin" / "spark-class"), f"org.apache.spark.deploy.{role}.{role.capitalize()}"]
    settings = ["--properties-file", str(found.properties_file(folder).resolve())]
    logging = f"-Dlog4j.configurationFile={submit.LOG4J_FILE.as_uri()}"
    environment = submit.spark_environment() | {
        "SPARK_DAEMON_JAVA_OPTS": f"{logging} {JVM}",
        "SPARK_DAEMON_MEMORY": "512m",
        "SPARK_LOCAL_DIRS": str((folder / "work").resolve()),  # what a killed executor leaves goes with the cluster
    }
    del environment["PYTHONPATH"]  # executors get the project's code from the driver
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *settings, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            start_new_session=True, cwd=folder,
        )  # fmt: skip
    found.processes.append(ClusterProcess(name, process.pid, psutil.Process(process.pid).create_time()))
    found.save(folder)


def wait_for(found: LocalCluster, workers: int, folder: Path) -> None:
    """Waits until the master answers and so many workers are registered.

    Raises:
        EnvironmentProblemError: if a process ends, or it takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while registered(found) < workers:
        dead = [process.name for process in found.processes if not psutil.pid_exists(process.pid) or zombie(process)]
        if dead or time.monotonic() > deadline:
            why = f"{dead[0]} has ended" if dead else f"it did not come up within {START_SECONDS:.0f} s"
            log = folder / f"{dead[0] if dead else found.processes[-1].name}.log"
            raise EnvironmentProblemError(f"the cluster did not start: {why}\n{tail(log)}", f"see {log}")
        time.sleep(0.1)


def zombie(process: ClusterProcess) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    return True


def registered(found: LocalCluster) -> int:
    """How many workers the master knows to be alive; -1 while it does not answer."""
    try:
        return int(facts(found)["aliveworkers"])
    except (OSError, ValueError):
        return -1


def facts(found: LocalCluster) -> dict[str, Any]:
    """What the master's page tells programs."""
    with urllib.request.urlopen(f"{found.ui}/json/", timeout=5) as answer:  # noqa: S310  # an address of this machine
        known: dict[str, Any] = json.load(answer)
        return known


def tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-5:])


def describe(found: LocalCluster, how: str, folder: Path) -> None:
    print(
        f"[cluster] {how}: {found.master}, {found.workers} workers, page {found.ui}\n"
        f"[cluster] logs in {folder}; end it with: reco cluster stop\n"
        "[cluster] use it with: snakemake --profile profiles/cluster gold"
        + ("" if found.master.endswith(":7077") else f" --config spark_master={found.master}")
    )


# --- ending it


def running(found: LocalCluster, process: ClusterProcess, folder: Path) -> psutil.Process | None:
    """The process of the cluster, if the one that has its number now is still that: by its mark and its age."""
    try:
        candidate = psutil.Process(process.pid)
        is_it = str(found.properties_file(folder).resolve()) in candidate.cmdline()
        return candidate if is_it and abs(candidate.create_time() - process.started) < CLOCKS else None
    except psutil.Error:
        return None


def end(found: LocalCluster, folder: Path) -> list[str]:
    """Ends the processes of a cluster and what they have started; the names of those that ran."""
    own = {process.name: alive for process in found.processes if (alive := running(found, process, folder))}
    every = [*own.values()]
    for process in own.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            every += process.children(recursive=True)
    for process in own.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(every, STOP_SECONDS)
    for process in left:  # psutil looks whether the number is still the same process
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, STOP_SECONDS)
    return list(own)


def forget(folder: Path) -> None:
    """Removes what names a cluster that is gone, its secret and the folders of its executors; logs stay."""
    for path in (folder / "cluster.json", *folder.glob("*.properties")):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / "work", ignore_errors=True)


def stop(folder: Path) -> None:
    """Ends the cluster of a folder."""
    with locked(folder):
        known = cluster.read_local_cluster(folder)
        ended = end(known, folder) if known else []
        forget(folder)
    print(f"[cluster] ended: {', '.join(ended)}" if ended else "[cluster] none was running")


def status(folder: Path) -> bool:
    """Says what runs; whether that is the whole cluster."""
    known = cluster.read_local_cluster(folder)
    if known is None:
        print("[cluster] none is running; start one with: reco cluster start")
        return False
    alive = [process for process in known.processes if running(known, process, folder)]
    for process in known.processes:
        print(f"  {process.name:<9} {'runs' if process in alive else 'is gone'}, process {process.pid}")
    if len(alive) < len(known.processes):
        print("[cluster] not whole; start it anew with: reco cluster start")
        return False
    told = facts(known)
    print(f"  {told['aliveworkers']} workers, {told['coresused']} of {told['cores']} cores in use")
    describe(known, "runs", folder)
    return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One start or stop at a time."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), False)
        yield
