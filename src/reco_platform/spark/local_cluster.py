"""Start and stop a standalone Spark cluster on this machine: a master and workers of this pyspark, on the loopback.

`reco cluster start` starts it if it is not running; `reco cluster stop` ends only the processes of this cluster.
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

from reco_platform.core import network, project
from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.spark import cluster, java, submit
from reco_platform.spark.cluster import ClusterProcess, LocalCluster
from reco_platform.store.atomic_write import write_private

HOST = "127.0.0.1"
START_SECONDS = 90.0
STOP_SECONDS = 20.0
CLOCK_TOLERANCE = 2.0  # seconds; the start time of a process changes when the clock is set
DAEMON_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # master and workers do no computing themselves


@dataclass(frozen=True)
class ClusterSize:
    """The size of a cluster.

    Attributes:
        workers: number of workers.
        cores: of each worker.
        memory: that each worker may give to executors, such as 4g.
    """

    workers: int
    cores: int
    memory: str


def start(folder: Path, size: ClusterSize, port: int) -> None:
    """Starts the cluster, unless all of its processes are running.

    Args:
        folder: for logs, the secret and process ids.
        size: of a new cluster.
        port: of the master. Its web page has port + 3, and the workers' pages have the ports after that.

    Raises:
        EnvironmentProblemError: a port is taken, or the cluster does not start in time.
    """
    with exclusive_access(folder):
        known = cluster.read_local_cluster(folder)
        if known and all(find_process(known, process, folder) for process in known.processes):
            describe(known, "is already running", folder)
            return
        if known:
            stop_processes(known, folder)
        describe(start_new(folder, size, port), "started", folder)


def start_new(folder: Path, size: ClusterSize, master_port: int) -> LocalCluster:
    """Starts a new cluster and waits until its workers are registered; see `start`."""
    page_port = master_port + 3
    for port in (master_port, page_port):
        if network.connection_error(HOST, port, cluster.CONNECT_SECONDS) is None:
            raise EnvironmentProblemError(
                f"port {port} is taken by another program",
                project.command("cluster", "start", f"--port {master_port + 100}"),
            )
    found = LocalCluster(
        f"spark://{HOST}:{master_port}", f"http://{HOST}:{page_port}", secrets.token_hex(8), size.workers, []
    )
    settings = found.properties_file(folder)
    write_private(settings, cluster.properties_text(security_settings()))
    try:
        start_process(
            found, folder, "master", ["--host", HOST, "--port", str(master_port), "--webui-port", str(page_port)]
        )
        wait_for_workers(found, 0, folder)
        for number in range(1, found.workers + 1):
            limits = ["--cores", str(size.cores), "--memory", size.memory]
            addresses = [
                "--host",
                HOST,
                "--webui-port",
                str(page_port + number),
                "--work-dir",
                str((folder / "work").resolve()),
            ]
            start_process(found, folder, f"worker-{number}", [*addresses, *limits, found.master])
        wait_for_workers(found, found.workers, folder)
    except BaseException:
        stop_processes(found, folder)
        remove_files(folder)
        raise
    return found


def security_settings() -> dict[str, str]:
    """Settings that let only programs with the secret connect, with a new secret."""
    return {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secrets.token_urlsafe(32),
        "spark.network.crypto.enabled": "true",
        "spark.master.rest.enabled": "false",
        "spark.ui.killEnabled": "false",
        "spark.worker.cleanup.enabled": "true",
    }


def start_process(found: LocalCluster, folder: Path, name: str, options: list[str]) -> None:
    """Starts the master or a worker, in a session of its own."""
    role = name.partition("-")[0]
    command = [str(java.spark_home() / "bin" / "spark-class"), f"org.apache.spark.deploy.{role}.{role.capitalize()}"]
    settings = ["--properties-file", str(found.properties_file(folder).resolve())]
    logging = f"-Dlog4j.configurationFile={submit.LOG4J_FILE.as_uri()}"
    environment = submit.spark_environment() | {
        "SPARK_DAEMON_JAVA_OPTS": f"{logging} {DAEMON_JVM}",
        "SPARK_DAEMON_MEMORY": "512m",
        "SPARK_LOCAL_DIRS": str((folder / "work").resolve()),  # removed with the cluster, even if an executor is killed
    }
    del environment["PYTHONPATH"]  # executors get the package from the driver
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *settings, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            start_new_session=True, cwd=folder,
        )  # fmt: skip
    found.processes.append(ClusterProcess(name, process.pid, psutil.Process(process.pid).create_time()))
    found.save(folder)


def wait_for_workers(found: LocalCluster, workers: int, folder: Path) -> None:
    """Waits until the master answers and has this number of workers.

    Raises:
        EnvironmentProblemError: a process exits, or it takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while alive_workers(found) < workers:
        dead = [process.name for process in found.processes if not psutil.pid_exists(process.pid) or is_zombie(process)]
        if dead or time.monotonic() > deadline:
            reason = f"{dead[0]} exited" if dead else f"it did not start within {START_SECONDS:.0f} s"
            log = folder / f"{dead[0] if dead else found.processes[-1].name}.log"
            raise EnvironmentProblemError(f"the cluster did not start: {reason}\n{tail(log)}", f"see {log}")
        time.sleep(0.1)


def is_zombie(process: ClusterProcess) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    return True


def alive_workers(found: LocalCluster) -> int:
    """The number of workers that the master reports as alive; -1 while it does not answer."""
    try:
        return int(master_status(found)["aliveworkers"])
    except (OSError, ValueError):
        return -1


def master_status(found: LocalCluster) -> dict[str, Any]:
    """The status of the cluster, from the master's JSON page."""
    with urllib.request.urlopen(f"{found.ui}/json/", timeout=5) as response:  # noqa: S310  # an address of this machine
        known: dict[str, Any] = json.load(response)
        return known


def tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-5:])


def describe(found: LocalCluster, how: str, folder: Path) -> None:
    """Prints where the cluster is, and the commands that stop and use it."""
    if project.is_typed_as_snakemake():
        use = "snakemake --profile profiles/cluster gold"
        use += "" if found.master.endswith(":7077") else f" --config spark_master={found.master}"
    else:
        config = f"--config etl_engine=spark engine=spark-ml executor_memory=1g spark_master={found.master}"
        use = project.run_command("gold", config)
    print(
        f"[cluster] {how}: {found.master}, {found.workers} workers, page {found.ui}\n"
        f"[cluster] logs in {project.as_typed_path(folder)}; stop it with: {project.command('cluster', 'stop')}\n"
        f"[cluster] use it with: {use}"
    )


# --- stopping


def find_process(found: LocalCluster, process: ClusterProcess, folder: Path) -> psutil.Process | None:
    """The running process of the cluster; None if it has exited, even if its process id is in use again."""
    try:
        candidate = psutil.Process(process.pid)
        is_same = str(found.properties_file(folder).resolve()) in candidate.cmdline()
        return candidate if is_same and abs(candidate.create_time() - process.started) < CLOCK_TOLERANCE else None
    except psutil.Error:
        return None


def stop_processes(found: LocalCluster, folder: Path) -> list[str]:
    """Stops the processes of a cluster and their children; returns the names of those that were running."""
    own = {process.name: alive for process in found.processes if (alive := find_process(found, process, folder))}
    processes = [*own.values()]
    for process in own.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            processes += process.children(recursive=True)
    for process in own.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, STOP_SECONDS)
    for process in left:  # psutil checks that the process id is still the same process
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, STOP_SECONDS)
    return list(own)


def remove_files(folder: Path) -> None:
    """Removes the files of a stopped cluster: its description, its secret and its work folders; logs are kept."""
    for path in (folder / "cluster.json", *folder.glob("*.properties")):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / "work", ignore_errors=True)


def stop(folder: Path) -> None:
    """Stops the cluster of a folder."""
    with exclusive_access(folder):
        known = cluster.read_local_cluster(folder)
        stopped = stop_processes(known, folder) if known else []
        remove_files(folder)
    print(f"[cluster] stopped: {', '.join(stopped)}" if stopped else "[cluster] none was running")


def status(folder: Path) -> bool:
    """Prints the status of each process; returns whether all of them are running."""
    known = cluster.read_local_cluster(folder)
    if known is None:
        print(f"[cluster] none is running; start one with: {project.command('cluster', 'start')}")
        return False
    alive = [process for process in known.processes if find_process(known, process, folder)]
    for process in known.processes:
        print(f"  {process.name:<9} {'running' if process in alive else 'exited'}, process {process.pid}")
    if len(alive) < len(known.processes):
        print(f"[cluster] incomplete; restart it with: {project.command('cluster', 'start')}")
        return False
    found = master_status(known)
    print(f"  {found['aliveworkers']} workers, {found['coresused']} of {found['cores']} cores in use")
    describe(known, "is running", folder)
    return True


@contextlib.contextmanager
def exclusive_access(folder: Path) -> Iterator[None]:
    """Waits until no other process starts or stops the cluster, and keeps others waiting."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), False)
        yield
