"""The public Python API on a lakehouse that was really built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

import reco_platform
from reco_platform.core.errors import ConfigError, TableError
from support.project import Project, Run

pytestmark = pytest.mark.pipeline


def test_tables_metrics_and_receipts_are_read_without_a_jvm(built_run: tuple[Project, Run]) -> None:
    project, _ = built_run
    lakehouse = reco_platform.open(project.lakehouse())
    assert (lakehouse.root, lakehouse.dataset) == (str(project.lakehouse()), "small")
    assert lakehouse.tables() == ["ratings", "movies", "tags", "interactions", "recommendations"]
    for name in lakehouse.tables():
        assert lakehouse.table(name).num_rows == lakehouse.receipt(name).rows > 0
    narrow = lakehouse.table("ratings", columns=["rating", "user_id"])
    assert narrow.column_names == ["rating", "user_id"]
    version = project.receipt("gold/models/als")["facts"]["model_version"]
    assert lakehouse.model_version == version
    written = json.loads((project.lakehouse() / f"gold/metrics/run_metrics_{version}.json").read_text("utf-8"))
    assert lakehouse.metrics() == written
    assert "small" in repr(lakehouse)


def test_a_table_is_read_at_the_version_of_its_receipt(built: Project) -> None:
    lakehouse, folder = reco_platform.open(built.lakehouse()), built.lakehouse() / "silver/movies"
    before = lakehouse.table("movies")
    write_deltalake(str(folder), DeltaTable(str(folder)).to_pyarrow_table(), mode="append")
    assert lakehouse.table("movies").equals(before)


def test_what_cannot_be_read_is_an_error_that_says_what_to_do(built_run: tuple[Project, Run], tmp_path: Path) -> None:
    lakehouse = reco_platform.open(built_run[0].lakehouse())
    with pytest.raises(ConfigError, match="there is no result 'rating'; did you mean ratings"):
        lakehouse.table("rating")
    with pytest.raises(ConfigError, match="model is not a table of"):
        lakehouse.table("model")
    with pytest.raises(TableError, match=r"als_refit\.receipt\.json cannot be read"):
        lakehouse.receipt("als_refit")
    with pytest.raises(TableError, match=r"is not a lakehouse"):
        reco_platform.open(tmp_path)
    with pytest.raises(ConfigError, match="needs the name of its data set"):
        reco_platform.open("hdfs://namenode:9000/lake")
    assert reco_platform.open("hdfs://namenode:9000/lake", dataset="demo").dataset == "demo"
    with pytest.raises(reco_platform.RecoError):
        reco_platform.load_config({"rnak": 4})


def test_a_damaged_metrics_file_is_not_read(built: Project) -> None:
    (path,) = (built.lakehouse() / "gold/metrics").glob("run_metrics_*.json")
    path.write_text("{}", "utf-8")
    with pytest.raises(TableError, match="run_metrics"):
        reco_platform.open(built.lakehouse()).metrics()


def test_the_example_of_the_docs_runs(
    built_run: tuple[Project, Run], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (root / "docs" / "python.md").read_text("utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(built_run[0].root)
    names: dict[str, object] = {}
    exec(example.replace("results/demo", "results/small"), names)  # noqa: S102  # of this project's own docs
    assert len(names["ratings"]) > 0 and 0 < names["rmse"] < 5  # type: ignore[arg-type,operator]
