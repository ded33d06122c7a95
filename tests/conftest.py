"""Fixtures that every test may use: where things lie, the demo data, and one Spark session for the whole run."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.datasets import registry as datasets
from reco_platform.datasets import synthetic
from reco_platform.spark import submit
from support import mlflow_server as mlflowserver
from support.builders import umask
from support.project import BUILT_UMASK, Project, Run

settings.register_profile("no deadline", deadline=None)  # test processes share two cores
settings.load_profile("no deadline")

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a Spark session, a cluster or an Airflow go to one process.

    The longest begin first; the quick ones fill the gaps at the end.
    """
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            assert item.get_closest_marker("spark"), f"{item.nodeid} needs the mark spark"
            item.add_marker(pytest.mark.xdist_group("spark"))
        for shared in ("cluster", "airflow"):
            if item.get_closest_marker(shared):
                item.add_marker(pytest.mark.xdist_group(shared))
    items.sort(key=lambda item: [item.get_closest_marker(mark) is None for mark in ("spark", "pipeline")])


@pytest.fixture(scope="session", autouse=True)
def root() -> Iterator[Path]:
    """The project's root folder, from which every test runs."""
    before = Path.cwd()
    os.chdir(ROOT)
    yield ROOT
    os.chdir(before)


@pytest.fixture
def heeding() -> Iterator[None]:
    """What a test starts heeds SIGINT and SIGHUP, also where nohup or a script's & has them ignored."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def registry(root: Path) -> dict[str, datasets.Dataset]:
    return datasets.load_registry(root / "config" / "datasets.yaml")


@pytest.fixture(scope="session")
def demo_folder(registry: dict[str, datasets.Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ratings.csv, movies.csv, tags.csv and manifest.json of the data set `demo`; not to be changed."""
    entry = registry["demo"]
    assert isinstance(entry, datasets.GenerateDataset)
    folder = tmp_path_factory.mktemp("demo")
    synthetic.generate(folder, entry.spec)
    return folder


@pytest.fixture(scope="session")
def latest_small(root: Path) -> Path:
    """The real ml-latest-small, where somebody put it beside the project."""
    folder = root.parent / "shared" / "data" / "ml-latest-small"
    if not (folder / "ratings.csv").is_file():
        pytest.skip(f"the real ml-latest-small is not in {folder}")
    return folder


@pytest.fixture(scope="session")
def spark(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The one session of a test run: the product's settings, two threads, 1 GB, nothing of the user's own Spark."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("tests")
    settings = {
        **RESULT_SETTINGS,
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # quick for small data
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    with pytest.MonkeyPatch.context() as patch:
        for name in submit.USER_VARIABLES:
            patch.delenv(name, raising=False)
        for name, value in submit.spark_environment().items():
            patch.setenv(name, value)
        patch.setenv("PYSPARK_SUBMIT_ARGS", "--properties-file config/spark-defaults.conf pyspark-shell")
        started = builder.getOrCreate()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def built_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """A project after its first `gold`, and that run; not to be changed. Test processes side by side share it."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared
    project, saved = Project(shared / "built"), shared / "built.json"
    with (shared / "built.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not saved.is_file():
            with umask(BUILT_UMASK):
                run = Project.create(project.root).gold(new_processes=True)
            saved.write_text(json.dumps(asdict(run)), "utf-8")
    return project, Run(**json.loads(saved.read_text("utf-8")))


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server of the next fixture keeps."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def mlflow_server(mlflow_folder: Path) -> Iterator[str]:
    """The address of an MLflow server; its tests are in the group mlflow, so that one server does."""
    with mlflowserver.real(mlflow_folder) as address:
        yield address


@pytest.fixture
def built(built_run: tuple[Project, Run], tmp_path: Path) -> Project:
    """A copy of that project, to be changed."""
    return built_run[0].copy(tmp_path / "project")


@pytest.fixture(autouse=True)
def _product_settings(request: pytest.FixtureRequest) -> None:
    """Each test with Spark begins with the product's settings, whatever the one before has set."""
    if "spark" in request.fixturenames:
        started = request.getfixturevalue("spark")
        for key, value in RESULT_SETTINGS.items():
            started.conf.set(key, value)
