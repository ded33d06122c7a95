"""Others' tools read the tables as they are: every example of docs/readers.md, and the notebook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from nbclient import NotebookClient

from reco_platform.contracts.tables import CONTRACTS
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.receipts import read
from support.project import Project, Run

pytestmark = pytest.mark.pipeline

PAGE = Path(__file__).resolve().parents[2] / "docs" / "readers.md"
NOTEBOOK = PAGE.with_name("notebooks") / "explore.ipynb"
PARTS = re.split(r"^##+ (.+)\n", PAGE.read_text("utf-8"), flags=re.M)
EXAMPLES = [
    (f"{title}, {number}", code)
    for title, text in zip(PARTS[1::2], PARTS[2::2], strict=True)
    for number, code in enumerate(re.findall(r"^```python\n(.+?)^```$", text, flags=re.M | re.S))
]
READERS = [example for example in EXAMPLES if "ratings = " in example[1]]


@pytest.fixture(scope="module")
def lakes(built_run: tuple[Project, Run], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Gold in both formats; of the Delta recommendations two versions, ten movies a user and then three."""
    project = built_run[0].copy(tmp_path_factory.mktemp("readers") / "project")
    for lakehouse, changed in (("small", {"top_n": 3}), ("small-parquet", {"storage_format": "parquet"})):
        project.gold(f"results/{lakehouse}/gold/recommendations_als.receipt.json", folder=lakehouse, **changed)
    return project


def ran(code: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The variables of an example after it has run on these lakehouses."""
    monkeypatch.chdir(project.root)
    found: dict[str, Any] = {}
    exec(code.replace("results/demo", "results/small"), found)  # noqa: S102  # the page's own code
    return found


def truth(project: Project, lakehouse: str, artifact: str) -> pa.Table:
    root = project.lakehouse(lakehouse)
    return tables.open_table(root, read(root / f"{artifact}.receipt.json"), "").read()


def rows(frame: Any, names: list[str]) -> list[tuple[Any, ...]]:
    """The rows of a pandas or Polars frame, in one order."""
    columns = [frame[name] for name in names]
    return sorted(zip(*(column.to_list() for column in columns), strict=True))


def test_the_page_has_an_example_for_each_reader() -> None:
    assert len(READERS) == 7 and len(EXAMPLES) == 8


@pytest.mark.parametrize(("name", "code"), READERS, ids=[name for name, _ in READERS])
def test_a_reader_sees_the_rows_and_columns_that_the_receipt_stands_for(
    lakes: Project, monkeypatch: pytest.MonkeyPatch, name: str, code: str
) -> None:
    lakehouse = "small-parquet" if "demo-parquet" in code else "small"
    found = ran(code, lakes, monkeypatch)
    table = truth(lakes, lakehouse, "silver/ratings")
    assert set(found["ratings"].columns) == set(CONTRACTS["ratings"].names)
    exact = ["user_id", "movie_id", "rating", "year", "month"]
    frame = (
        found["ratings"].astype({"year": int, "month": int})
        if hasattr(found["ratings"], "astype")
        else found["ratings"]
    )
    assert rows(frame, exact) == sorted(zip(*(table[column].to_pylist() for column in exact), strict=True))
    moments = sorted(moment.timestamp() for moment in found["ratings"]["rating_ts"].to_list())
    assert moments == sorted(moment.timestamp() for moment in table["rating_ts"].to_pylist())

    lists = truth(lakes, lakehouse, "gold/recommendations_als").to_pylist()
    expected = [
        (row["user_id"], item["movie_id"], item["rank"], item["score"])
        for row in lists
        for item in row["recommendations"]
    ]
    assert rows(found["lists"], ["user_id", "movie_id", "rank", "score"]) == sorted(expected)


def test_an_earlier_version_is_read_by_its_number(lakes: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(lakes.lakehouse() / "gold" / "recommendations_als")
    assert DeltaTable(path).version() == 1
    examples = dict(EXAMPLES)
    duckdb_setup = next(code for _, code in READERS if "duckdb_ext" in code).partition("ratings =")[0]
    found = ran(duckdb_setup + examples["An earlier version, 0"], lakes, monkeypatch)
    for name in ("by_deltalake", "by_polars", "by_duckdb"):
        assert {len(items) for items in found[name]["recommendations"].to_list()} == {10}, name
    newest = DeltaTable(path).to_pyarrow_table()["recommendations"].to_pylist()
    assert {len(items) for items in newest} == {3}
    receipt = read(f"{path}.receipt.json")
    assert found["fingerprints"].keys() == {0, 1} and receipt.version == 1
    assert found["fingerprints"][1] == receipt.fingerprint != found["fingerprints"][0]


def test_the_notebook_runs_from_top_to_bottom_and_is_kept_without_output(
    lakes: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    monkeypatch.setenv("LAKEHOUSE_PATH", str(lakes.lakehouse()))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    kinds = [set(output.data) for cell in cells for output in cell.outputs if output.output_type != "stream"]
    assert sum("image/png" in kind for kind in kinds) == 2
    assert sum("text/html" in kind for kind in kinds) >= 2
    users = lakes.receipt("gold/recommendations_als")["rows"]
    assert any(
        f"{users:,} users" in output.text for cell in cells for output in cell.outputs if output.output_type == "stream"
    )
