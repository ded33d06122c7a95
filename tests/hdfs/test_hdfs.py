"""The whole pipeline with its lakehouse on a real HDFS."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from reco_platform.engine import journal
from reco_platform.lakehouse import manifests, publish, receipts, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline.steps_table import STEP_OF
from reco_platform.store import atomic_write
from reco_platform.store.hdfs import HdfsPath, StoreError
from reco_platform.store.locks import hdfs_lease
from reco_platform.store.paths import store_path
from support import hdfs_server as hdfsserver
from support.hdfs_server import Hdfs
from support.project import Project, Run, wait_for

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("hdfs")]
VOLATILE = ("gate", "tracking")


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    with hdfsserver.running(tmp_path_factory.mktemp("hdfs")) as server:
        yield server


@pytest.fixture
def folder(hdfs: Hdfs, request: pytest.FixtureRequest) -> HdfsPath:
    found = store_path(f"{hdfs.address}/{request.node.name}")
    assert isinstance(found, HdfsPath)
    found.mkdir(parents=True)
    return found


@pytest.fixture(scope="module")
def project(hdfs: Hdfs, built_run: tuple[Project, Run], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with gold on HDFS and, from the same data, in a folder."""
    made = built_run[0].copy(tmp_path_factory.mktemp("remote") / "project")
    remote = made.gold(folder=records(hdfs).name, lakehouse=lake(hdfs))
    assert "train_als" in remote.worked
    return made


def lake(hdfs: Hdfs) -> str:
    return f"{hdfs.address}/lake_house"


def records(hdfs: Hdfs) -> Path:
    return Lakehouse(lake(hdfs), "small").records


def contents(receipt_texts: dict[str, str]) -> dict[str, str]:
    """The content's identity by receipt; of pages none, since they name the lakehouse."""
    return {name: receipts.parse(text, name).content_identity for name, text in receipt_texts.items()}


def test_content_is_there_and_receipts_are_here_equal_to_those_of_a_folder(project: Project, hdfs: Hdfs) -> None:
    here, there = project.receipts(), project.receipts(records(hdfs).name)
    assert contents(there) == contents(here)
    table = DeltaTable(f"{lake(hdfs)}/silver/ratings")
    assert table.version() == 0
    assert table.to_pyarrow_table().num_rows == project.receipt("silver/ratings")["rows"]
    names = {path.name for path in (store_path(lake(hdfs)) / "gold" / "models" / "als").iterdir()}
    assert project.receipt("gold/models/als")["facts"]["model_version"] in names
    assert not list((project.root / records(hdfs)).rglob("*.parquet")), "tables lie on HDFS alone"


def test_nothing_is_done_twice_and_another_machine_restores_all(project: Project, hdfs: Hdfs) -> None:
    again = project.gold(folder=records(hdfs).name, lakehouse=lake(hdfs))
    assert not again.worked | again.restored
    before = project.receipts(records(hdfs).name)
    shutil.rmtree(project.root / records(hdfs))
    shutil.rmtree(project.path(".cache/lakehouse"))
    elsewhere = project.gold(folder=records(hdfs).name, lakehouse=lake(hdfs))
    assert not elsewhere.worked - {"bronze"}
    assert project.receipts(records(hdfs).name) == before


def test_versions_validation_and_damage_work_as_in_a_folder(project: Project, hdfs: Hdfs) -> None:
    ok = project.reco("validate", "--deep", lakehouse=lake(hdfs))
    assert ok.code == 0 and "Validation passed" in ok.output
    other = project.gold(folder=records(hdfs).name, lakehouse=lake(hdfs), test_fraction=0.3)
    assert {"interactions", "train_als"} <= other.worked and "silver_ratings" not in other.worked
    back = project.gold(folder=records(hdfs).name, lakehouse=lake(hdfs))
    assert not back.worked and "interactions" in back.restored
    assert DeltaTable(f"{lake(hdfs)}/gold/interactions").version() == 2
    file = next(path for path in (store_path(lake(hdfs)) / "silver" / "movies").iterdir() if path.suffix == ".parquet")
    assert isinstance(file, HdfsPath)
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-5] + b"x" + content[-4:])
        bad = project.reco("validate", "--json", lakehouse=lake(hdfs))
        assert bad.code == 1
        assert any("checksum differs" in error for error in json.loads(bad.output)["errors"])
    finally:
        file.write_bytes(content)
    assert project.reco("validate", lakehouse=lake(hdfs)).code == 0


def test_spark_cleans_and_trains_in_place_with_the_same_results(project: Project, hdfs: Hdfs) -> None:
    by_spark = {"etl_engine": "spark", "engine": "spark-ml", "lakehouse": f"{hdfs.address}/by_spark"}
    lakehouse = Lakehouse(by_spark["lakehouse"], "small")
    there = project.gold(lakehouse.receipt(STEP_OF["model"].artifact), folder=lakehouse.records.name, **by_spark)
    assert {"silver_ratings", "train_als"} <= there.worked
    project.gold(Lakehouse("results/small", "small").receipt(STEP_OF["model"].artifact), engine="spark-ml")
    here, found = contents(project.receipts()), contents(project.receipts(lakehouse.records.name))
    assert "gold/models/als.receipt.json" in found
    assert {name: here[name] for name in found} == found
    assert not [path for path in lakehouse.path.rglob("*") if publish.STAGING in path.name]


def is_training(project: Project, hdfs: Hdfs, before: list[Path]) -> bool:
    new = set(project.journals(records(hdfs).name)) - set(before)
    events = [event for path in new for event in journal.read(path)]
    return any(event.step == "train_als" and "iteration" in (event.text or "") for event in events)


def test_a_namenode_killed_in_the_middle_is_a_clear_error_and_the_next_run_finishes(
    project: Project, hdfs: Hdfs
) -> None:
    before = project.journals(records(hdfs).name)
    with project.started(lakehouse=lake(hdfs), rank=6, max_iter=200) as run:
        wait_for(lambda: is_training(project, hdfs, before) or run.poll() is not None)
        hdfs.kill()
        started = time.monotonic()
        said, _ = run.communicate(timeout=240)
        took = time.monotonic() - started
    assert run.returncode == 1
    # Where it dies in the middle of a call, that is what HDFS's client says.
    assert re.search(rf"\[ERROR\] \w+: {hdfs.address}\S* (does not answer: Connection refused|HDFS reports: )", said), (
        said
    )
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert took < 120, "HDFS's own client would have waited for three minutes a call"
    away = project.snakemake(folder=records(hdfs).name, lakehouse=lake(hdfs), rank=6, max_iter=200)
    assert away.code == 1 and "does not answer" in away.output and not away.events
    kept = project.receipts(records(hdfs).name)
    dry = project.snakemake("gold", "-n", folder=records(hdfs).name, lakehouse=lake(hdfs), rank=6, max_iter=200)
    assert dry.code == 1 and "does not answer" in dry.output
    assert project.receipts(records(hdfs).name) == kept, "a store that is away says nothing of what it holds"
    hdfs.start()
    wait_for(lambda: free(store_path(f"{lake(hdfs)}/.lock")), 90)
    after = project.gold(folder=records(hdfs).name, lakehouse=lake(hdfs), rank=6, max_iter=200)
    assert "train_als" in after.worked and "silver_ratings" not in after.worked
    assert not [
        path for path in store_path(lake(hdfs)).rglob("*") if publish.STAGING in path.name or path.suffix == ".tmp"
    ]


def free(path: object) -> bool:
    assert isinstance(path, HdfsPath)
    try:
        with hdfs_lease(path):
            return True
    except (FileExistsError, StoreError):
        return False


def test_two_runs_from_two_machines_exclude_each_other(project: Project, hdfs: Hdfs) -> None:
    held = store_path(f"{lake(hdfs)}/.lock")
    assert isinstance(held, HdfsPath)
    with hdfs_lease(held):
        kept_out = project.snakemake(folder=records(hdfs).name, lakehouse=lake(hdfs))
    assert kept_out.code == 1
    assert "another run holds hdfs://" in kept_out.output and not kept_out.events


def test_a_path_of_hdfs_does_what_one_of_this_machine_does(folder: HdfsPath, tmp_path: Path) -> None:
    for root in (folder, tmp_path):
        (root / "a").mkdir()
        with pytest.raises(FileExistsError):
            (root / "a").mkdir()
        file = root / "a" / "ü 1.json"
        atomic_write.write_text(file, "one")
        atomic_write.write_text(file, "zwei")
        assert file.read_text(encoding="utf-8") == "zwei" and file.stat().st_size == 4
        assert [path.name for path in (root / "a").iterdir()] == ["ü 1.json"]
        assert [str(path.relative_to(root)) for path in root.rglob("*.json")] == ["a/ü 1.json"]
        assert list((root / "none").rglob("*")) == []
        assert file.is_file() and not file.is_dir() and (root / "a").is_dir()
        moved = file.rename(root / "b.json")
        assert moved.exists() and not file.exists()
        with pytest.raises(FileNotFoundError):
            file.read_text(encoding="utf-8")
        with pytest.raises(FileNotFoundError):
            file.unlink()
        file.unlink(missing_ok=True)
        assert (moved.stem, moved.suffix, moved.parent) == ("b", ".json", root)


def test_a_copy_that_is_not_what_the_manifest_says_is_refused(folder: HdfsPath) -> None:
    (folder / "t").mkdir()
    (folder / "t" / "f").write_bytes(b"other")
    manifest = manifests.Manifest("0" * 16, 1, {"f": (5, 0, "ab" * 32)})
    with pytest.raises(StoreError, match="has sha256"):
        tables.local_folder(folder / "t", manifest)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://bucket/lake", "must be a folder, or an address hdfs://HOST:PORT/FOLDER"),
        ("hdfs://user:hush@nn:9000/lake", "must be a folder"),
        ("hdfs://nn:9000/lake house", "of letters, digits, and"),
        ("hdfs://127.0.0.1:1/lake", "does not answer"),
    ],
)
def test_an_address_that_cannot_be_a_lakehouse_is_refused_before_any_job(
    project: Project, address: str, said: str
) -> None:
    run = project.snakemake(lakehouse=address)
    assert run.code in (1, 2) and said in run.output and not run.events
    assert "hush" not in run.output and "Traceback" not in run.output
