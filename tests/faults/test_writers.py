"""Others at work on the same lakehouse: a second checkout, another program that writes to a table, foreign tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from support.project import Project, wait_for

pytestmark = pytest.mark.pipeline

FOREIGN = pa.table({"user": ["a", "b"], "stars": [1, 2]})


def test_of_two_checkouts_on_one_lakehouse_the_second_is_told_and_finds_the_work_done(
    built: Project, tmp_path: Path
) -> None:
    other = built.copy(tmp_path / "other checkout")
    lake = str(built.lakehouse())
    with built.started(rank=5, lakehouse=lake) as first:
        wait_for(lambda: len(built.journals()) > 1)
        refused = other.snakemake(rank=5, lakehouse=lake)
        assert refused.code == 1
        assert f"another run holds {lake} (process {first.pid})" in refused.output
        assert "wait for it to end, then run again" in refused.output
        assert first.wait(timeout=300) == 0
    made = built.receipts()
    again = other.snakemake(rank=5, lakehouse=lake)
    assert again.code == 0, again.output
    assert built.receipts() == made
    assert other.reco("validate", "--deep", rank=5, lakehouse=lake).code == 0


def test_rows_that_another_program_appends_during_training_reach_no_result_and_are_named(
    built: Project, tmp_path: Path
) -> None:
    undisturbed = built.copy(tmp_path / "undisturbed")
    wanted = undisturbed.gold(rank=5, max_iter=4).worked
    ratings, before = built.lakehouse() / "silver/ratings", built.journals()
    with built.started(rank=5, max_iter=4) as run:
        wait_for(lambda: "train_als" in said_since(before, built) or run.poll() is not None)
        table = DeltaTable(str(ratings))
        write_deltalake(table, table.to_pyarrow_table().slice(0, 50), mode="append")
        out, _ = run.communicate(timeout=300)
        assert run.returncode == 0, out
    assert {"train_als", "recommend", "run_metrics"} <= wanted
    assert built.receipts() == undisturbed.receipts()

    bad = built.reco("validate", rank=5, max_iter=4)
    assert bad.code == 1
    assert "silver/ratings was written by another program: its newest version is not 0" in bad.output
    said = built.gold(rank=5, max_iter=4)
    assert (
        "[stale] results/small/silver/ratings.receipt.json: results/small/silver/ratings was written by" in said.output
    )
    assert said.worked == set(), "what it made before is still there"
    assert built.receipts() == undisturbed.receipts()
    assert DeltaTable(str(ratings)).count() == built.receipt("silver/ratings")["rows"], (
        "the rows are no longer its newest"
    )
    assert DeltaTable(str(ratings), version=1).count() == built.receipt("silver/ratings")["rows"] + 50, (
        "nor are they lost"
    )


def said_since(before: list[Path], project: Project) -> str:
    """The journals of the runs that have begun since."""
    return "".join(path.read_text("utf-8") for path in project.journals() if path not in before)


def test_a_foreign_table_is_refused_before_any_job_and_replaced_only_if_asked(built: Project) -> None:
    first, journals = built.receipts(), built.journals()
    ratings, movies = built.lakehouse() / "silver/ratings", built.lakehouse() / "silver/movies"
    shutil.rmtree(ratings)
    write_deltalake(str(ratings), FOREIGN)
    receipt = (built.lakehouse() / "silver/ratings.receipt.json").read_bytes()
    for words in (("gold",), ("silver", "--forcerun", "silver_ratings"), ("-n", "gold")):
        run = built.snakemake(*words)
        assert run.code == 1
        assert (
            "[ERROR] results/small/silver/ratings contains a delta table that this pipeline did not write" in run.output
        )
        assert "  -> use another lakehouse (--config lakehouse=...), or replace it: snakemake " in run.output
        assert DeltaTable(str(ratings)).to_pyarrow_table().equals(FOREIGN)
    assert built.journals() == journals, "nothing has run"
    assert (built.lakehouse() / "silver/ratings.receipt.json").read_bytes() == receipt

    shutil.rmtree(movies)
    movies.mkdir()
    pq.write_table(FOREIGN, movies / "data.parquet")
    forced = built.reco("train", "--run", "--cores", "2", "--force-overwrite")
    assert forced.code == 0, forced.output
    assert forced.stdout.splitlines()[0].endswith("force_overwrite=true")
    assert built.receipts() == first, "both tables were made anew, in an empty folder"
    assert built.reco("validate", "--deep").code == 0
    assert built.gold().worked == set(), "no step knows of the force"


def test_another_data_set_in_the_same_lakehouse_is_refused_with_the_way_out(built: Project) -> None:
    shutil.copytree(built.path("data"), built.path("other"))
    first = built.receipts()
    run = built.snakemake(dataset="other", dataset_path="other", lakehouse="results/small")
    assert run.code == 1
    assert "silver/ratings contains a table of the data set small, but dataset is other" in run.output
    models = "rank=4 max_iter=3 ranking_model=explicit refit=false fallback_lists=false"
    assert f"lakehouse=results/small {models} tracking=false force_overwrite=true" in run.output
    assert built.receipts() == first
