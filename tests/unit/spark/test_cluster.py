"""Spark elsewhere: its settings, its secrets, its address, its code, and processes that are not ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from reco_platform.config.model import Config
from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.spark import cluster, submit
from reco_platform.spark.cluster import ClusterProcess, LocalCluster
from reco_platform.store.atomic_write import write_private

MASTER = "spark://10.0.0.1:7077"


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# --- settings


def test_a_run_without_a_cluster_has_the_projects_settings_and_leaves_no_file(tmp_path: Path) -> None:
    told = cluster.script_environment(Config(), tmp_path)
    assert told == {cluster.MASTER_VARIABLE: "", cluster.PROPERTIES_VARIABLE: str(cluster.DEFAULT_PROPERTIES)}
    assert not list(tmp_path.iterdir())


def test_settings_are_told_in_a_file_of_the_owner_alone(tmp_path: Path) -> None:
    asked = Config(spark_master="yarn", executor_memory="3g", spark_conf={"spark.yarn.queue": "a\\b c\nd"})
    told = cluster.script_environment(asked, tmp_path / "private")
    path = Path(told[cluster.PROPERTIES_VARIABLE])
    assert told[cluster.MASTER_VARIABLE] == "yarn"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    lines = path.read_text("utf-8").splitlines()
    assert "spark.executor.memory=3g" in lines
    assert "spark.yarn.queue=a\\\\b c\\nd" in lines
    cluster.script_environment(Config(), tmp_path / "private")
    assert not path.exists()


@pytest.mark.parametrize(
    ("master", "own_address"),
    [
        ("yarn", False),
        (MASTER, False),
        ("k8s://https://host:6443", False),
        ("spark://127.0.0.1:7077", True),
        ("spark://localhost:7077", True),
        ("local-cluster[2,1,1024]", True),
    ],
)
def test_executors_elsewhere_are_not_told_to_look_on_their_own_machine(master: str, own_address: bool) -> None:
    found = cluster.spark_settings(Config(spark_master=master))
    assert ("spark.driver.host" in found, "spark.driver.bindAddress" in found) == (own_address, own_address)
    others = {name: value for name, value in os.environ.items() if name != "SPARK_LOCAL_IP"}  # other tests set it
    variables = submit.spark_environment({**others, cluster.MASTER_VARIABLE: master})
    assert ("SPARK_LOCAL_IP" in variables) == own_address


def test_executors_may_have_another_python_than_the_driver() -> None:
    found = cluster.spark_settings(Config(spark_master="yarn", spark_conf={"spark.pyspark.python": "./env/bin/python"}))
    assert found["spark.pyspark.python"] == "./env/bin/python"
    assert found["spark.pyspark.driver.python"] == sys.executable


def test_executors_of_a_standalone_master_are_counted_in_cores() -> None:
    def own(**asked: Any) -> dict[str, str]:
        return cluster.user_settings(Config(**asked))

    both = {"spark.executor.instances": "3", "spark.executor.cores": "2"}
    assert own(spark_master="yarn", executor_instances=3, executor_cores=2) == both
    assert own(spark_master=MASTER, executor_instances=3, executor_cores=2) == both | {"spark.cores.max": "6"}
    assert own(spark_master=MASTER, executor_instances=3)["spark.cores.max"] == "3"
    assert own(spark_master=MASTER, executor_cores=2) == {"spark.executor.cores": "2"}


def test_the_secret_of_this_machines_cluster_is_used_for_it_and_for_no_other(tmp_path: Path) -> None:
    here = LocalCluster(
        "spark://127.0.0.1:7077", "http://127.0.0.1:7080", "0a1b", 2, [ClusterProcess("master", 1, 2.5)]
    )
    here.save(tmp_path)
    write_private(here.properties_file(tmp_path), "spark.authenticate.secret=s3=cr#et\n")
    assert cluster.read_local_cluster(tmp_path) == here
    known, other = (cluster.spark_settings(Config(spark_master=master), tmp_path) for master in (here.master, MASTER))
    assert known["spark.authenticate.secret"] == "s3=cr#et"
    assert "spark.authenticate.secret" not in other and "spark.authenticate" not in other
    assert cluster.spark_settings(Config(executor_cores=1), tmp_path)["spark.authenticate"] == "true"
    own = {"spark.authenticate.secret": "mine"}
    asked = Config(spark_master=here.master, spark_conf=own)
    assert cluster.spark_settings(asked, tmp_path).items() >= own.items()


def test_the_command_line_names_the_master_and_no_setting_of_it(port: int) -> None:
    environ = {
        cluster.MASTER_VARIABLE: f"spark://127.0.0.1:{port}",
        cluster.PROPERTIES_VARIABLE: ".cache/spark/x.properties",
    }
    command = submit.submit_command("scripts/x.py", [], threads=3, memory="1g", environ=environ)
    assert command[command.index("--master") + 1] == environ[cluster.MASTER_VARIABLE]
    assert command[command.index("--properties-file") + 1] == environ[cluster.PROPERTIES_VARIABLE]


# --- the master


def test_a_master_that_does_not_answer_is_named_with_the_command_that_starts_it(port: int) -> None:
    silent = free_port()
    cluster.check_master(f"spark://127.0.0.1:{port}")
    cluster.check_master(f"spark://127.0.0.1:{silent},127.0.0.1:{port}")  # one of two is enough
    cluster.check_master("local-cluster[2,1,1024]")
    with pytest.raises(
        EnvironmentProblemError, match=f"no Spark master answers at spark://127.0.0.1:{silent}"
    ) as caught:
        cluster.check_master(f"spark://127.0.0.1:{silent}")
    assert caught.value.hint == "reco cluster start"
    with pytest.raises(EnvironmentProblemError, match="no Spark master answers"):
        cluster.check_master(f"k8s://https://127.0.0.1:{silent}")


def test_yarn_needs_to_know_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HADOOP_CONF_DIR", raising=False)
    monkeypatch.delenv("YARN_CONF_DIR", raising=False)
    with pytest.raises(EnvironmentProblemError, match="HADOOP_CONF_DIR"):
        cluster.check_master("yarn")
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop/conf")
    cluster.check_master("yarn")


# --- code


def test_the_archive_is_the_same_bytes_every_time_and_can_be_imported(tmp_path: Path) -> None:
    one, other = cluster.package_archive(tmp_path / "one"), cluster.package_archive(tmp_path / "other")
    assert (one.name, one.read_bytes()) == (other.name, other.read_bytes())
    before = one.stat().st_mtime_ns
    assert cluster.package_archive(tmp_path / "one") == one
    assert one.stat().st_mtime_ns == before
    assert "reco_platform/models/als/model.py" in zipfile.ZipFile(one).namelist()
    code = "import reco_platform.models.topn.exact as m; print(m.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(one), "NUMBA_DISABLE_JIT": "1"},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.startswith(str(one))


# --- the processes of a cluster


def tool(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    return subprocess.run(
        [sys.executable, str(root / "tools" / "run_pipeline.py"), "cluster", *words], env=environment, cwd=root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    """A process that has nothing to do with any cluster."""
    process = subprocess.Popen(["sleep", "600"])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def test_stopping_ends_no_process_that_merely_has_a_number_of_the_cluster(
    root: Path, tmp_path: Path, sleeper: psutil.Process
) -> None:
    known = LocalCluster("spark://127.0.0.1:1", "http://127.0.0.1:4", "0a1b", 1, [])
    known.processes.append(ClusterProcess("master", sleeper.pid, sleeper.create_time()))
    known.processes.append(ClusterProcess("worker-1", 2**22 + 1, 0.0))
    known.save(tmp_path)
    stopped = tool(root, "stop", "--folder", str(tmp_path))
    assert (stopped.returncode, stopped.stdout) == (0, "[cluster] none was running\n")
    assert sleeper.status() == psutil.STATUS_SLEEPING
    assert not (tmp_path / "cluster.json").exists()


def test_a_process_of_the_right_name_and_another_age_is_not_the_clusters(root: Path, tmp_path: Path) -> None:
    known = LocalCluster("spark://127.0.0.1:1", "http://127.0.0.1:4", "0a1b", 0, [])
    marked = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", str(known.properties_file(tmp_path))]
    )
    try:
        known.processes.append(ClusterProcess("master", marked.pid, psutil.Process(marked.pid).create_time() - 3600))
        known.save(tmp_path)
        tool(root, "stop", "--folder", str(tmp_path))
        assert marked.poll() is None
        known.processes[0] = ClusterProcess("master", marked.pid, psutil.Process(marked.pid).create_time())
        known.save(tmp_path)
        threading.Thread(target=marked.wait, daemon=True).start()  # as a shell does, so that it is gone when it ends
        assert tool(root, "stop", "--folder", str(tmp_path)).stdout == "[cluster] stopped: master\n"
        assert marked.wait(10) < 0
    finally:
        marked.kill()


def test_a_port_that_is_taken_is_said_before_anything_starts(root: Path, tmp_path: Path, port: int) -> None:
    ran = tool(root, "start", "--folder", str(tmp_path), "--port", str(port))
    assert ran.returncode == 1
    assert f"[ERROR] port {port} is taken by another program" in ran.stderr
    assert not (tmp_path / "cluster.json").exists()


def test_a_file_that_names_no_cluster_is_none(tmp_path: Path) -> None:
    assert cluster.read_local_cluster(tmp_path) is None
    for text in ("", "[]", "{}", json.dumps({"master": "x"})):
        (tmp_path / "cluster.json").write_text(text, encoding="utf-8")
        assert cluster.read_local_cluster(tmp_path) is None
