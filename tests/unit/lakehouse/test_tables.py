"""Tables are published whole or not at all, and opened only as their receipt says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from reco_platform.contracts.tables import RATINGS
from reco_platform.core.errors import TableError
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import delta_log, manifests, publish, tables
from reco_platform.lakehouse.receipts import Receipt
from support.builders import content_of, publish_ratings, ratings_table, sorted_rows, stage
from support.project import ROOT

FORMATS = ("delta", "parquet")
OLD, NEW = ratings_table(first_user=1), ratings_table(first_user=100)
REBUILD = "snakemake gold"


def rows(root: Path, receipt: Receipt) -> list[dict[str, object]]:
    return sorted_rows(tables.open_table(root, receipt, REBUILD).read())


def first_file(root: Path, receipt: Receipt) -> Path:
    return tables.open_table(root, receipt, REBUILD).files[0]


def refusal(root: Path, receipt: Receipt) -> str:
    with pytest.raises(TableError) as caught:
        tables.open_table(root, receipt, REBUILD)
    assert caught.value.hint == f"rebuild it with: {REBUILD}"
    assert str(root / receipt.path) in caught.value.message
    return caught.value.message


# --- publishing and opening


@pytest.mark.parametrize("storage_format", FORMATS)
def test_a_published_table_is_opened_as_it_was_staged(tmp_path: Path, storage_format: str) -> None:
    receipt = publish_ratings(tmp_path, OLD, storage_format)
    opened = tables.open_table(tmp_path, receipt, REBUILD)
    assert opened.read().select(RATINGS.names).schema.equals(RATINGS.schema)
    assert sorted_rows(opened.read()) == sorted_rows(OLD)
    assert opened.version == receipt.version == (0 if storage_format == "delta" else None)
    assert opened.read(["rating"]).column_names == ["rating"]
    assert not publish.local_staging_folder(tmp_path / receipt.path).exists()
    assert tables.content_problem(tmp_path, receipt, thorough=True) is None


def test_other_readers_of_delta_see_the_same_rows_partitions_and_counts(tmp_path: Path) -> None:
    publish_ratings(tmp_path, OLD)
    table = DeltaTable(str(tmp_path / "silver/ratings"))
    assert sorted_rows(table.to_pyarrow_table()) == sorted_rows(OLD)
    assert table.metadata().partition_columns == ["year", "month"]
    actions = pa.table(table.get_add_actions(flatten=True))
    assert sum(actions["num_records"].to_pylist()) == len(OLD)
    assert min(actions["min.user_id"].to_pylist()) == 1
    assert max(actions["max.user_id"].to_pylist()) == len(OLD)
    february = table.to_pyarrow_table(filters=[("month", "=", 2), ("user_id", ">", 3)])
    assert sorted_rows(february) == [row for row in sorted_rows(OLD) if row["month"] == 2 and row["user_id"] > 3]


def test_the_same_content_commits_nothing_to_delta(tmp_path: Path) -> None:
    first = publish_ratings(tmp_path, OLD)
    log = sorted(path.name for path in (tmp_path / "silver/ratings/_delta_log").iterdir())
    files = tables.data_files(tmp_path / "silver/ratings")
    shuffled = OLD.take(pa.array([3, 1, 0, 5, 4, 2]))
    assert publish_ratings(tmp_path, shuffled) == first
    assert sorted(path.name for path in (tmp_path / "silver/ratings/_delta_log").iterdir()) == log
    assert tables.data_files(tmp_path / "silver/ratings") == files
    assert not publish.local_staging_folder(tmp_path / "silver/ratings").exists()


def test_the_same_content_is_committed_again_where_a_file_was_damaged(tmp_path: Path) -> None:
    receipt = publish_ratings(tmp_path, OLD)
    first_file(tmp_path, receipt).unlink()
    again = publish_ratings(tmp_path, OLD)
    assert again.version == 1
    assert rows(tmp_path, again) == sorted_rows(OLD)


def test_new_content_is_a_new_version_and_the_old_one_can_still_be_opened(tmp_path: Path) -> None:
    old, new = publish_ratings(tmp_path, OLD), publish_ratings(tmp_path, NEW)
    assert (old.version, new.version) == (0, 1)
    assert rows(tmp_path, old) == sorted_rows(OLD)
    assert rows(tmp_path, new) == sorted_rows(NEW)
    assert sorted_rows(DeltaTable(str(tmp_path / "silver/ratings")).to_pyarrow_table()) == sorted_rows(NEW)


def test_a_parquet_table_holds_its_newest_content_and_says_so(tmp_path: Path) -> None:
    old = publish_ratings(tmp_path, OLD, "parquet")
    memo = tmp_path / old.path / manifests.MEMO / "x.json"
    memo.parent.mkdir()
    memo.write_text("kept", encoding="utf-8")
    new = publish_ratings(tmp_path, NEW, "parquet")
    assert rows(tmp_path, new) == sorted_rows(NEW)
    assert f"no longer contains fingerprint {old.fingerprint}" in refusal(tmp_path, old)
    assert memo.read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize("storage_format", FORMATS)
def test_a_lakehouse_can_be_copied_elsewhere_as_a_whole(tmp_path: Path, storage_format: str) -> None:
    receipt = publish_ratings(tmp_path / "a", OLD, storage_format)
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)  # new times of change
    shutil.rmtree(tmp_path / "a")
    assert rows(tmp_path / "b", receipt) == sorted_rows(OLD)


def test_markers_that_spark_leaves_do_not_become_data(tmp_path: Path) -> None:
    target = tmp_path / "silver/ratings"
    staging = stage(target, OLD)
    (staging / "_SUCCESS").touch()
    (staging / "year=2020" / ".part-0.crc").touch()
    publish.publish_table(
        staging, target, storage_format="parquet", schema=RATINGS.schema, partition_by=RATINGS.partition_by,
        fingerprint=content_of(OLD), rows=len(OLD), dataset="small",
    )  # fmt: skip
    assert not list(target.rglob("_SUCCESS")) and not list(target.rglob("*.crc"))
    assert len(tables.data_files(target)) == 2


# --- damage is found, with its name


@pytest.mark.parametrize("storage_format", FORMATS)
def test_a_missing_table_is_named(tmp_path: Path, storage_format: str) -> None:
    receipt = publish_ratings(tmp_path, OLD, storage_format)
    shutil.rmtree(tmp_path / receipt.path)
    assert refusal(tmp_path, receipt).endswith("is missing")


@pytest.mark.parametrize("storage_format", FORMATS)
def test_a_missing_file_is_named(tmp_path: Path, storage_format: str) -> None:
    receipt = publish_ratings(tmp_path, OLD, storage_format)
    path = first_file(tmp_path, receipt)
    path.unlink()
    name = path.relative_to(tmp_path / receipt.path)
    assert refusal(tmp_path, receipt).endswith(f"file {name} is missing")


@pytest.mark.parametrize("storage_format", FORMATS)
def test_a_truncated_file_is_named_with_its_sizes(tmp_path: Path, storage_format: str) -> None:
    receipt = publish_ratings(tmp_path, OLD, storage_format)
    path = first_file(tmp_path, receipt)
    size = path.stat().st_size
    os.truncate(path, 100)
    text = refusal(tmp_path, receipt)
    assert str(path.relative_to(tmp_path / receipt.path)) in text
    assert f"has 100 bytes, but {size:,} were written" in text


@pytest.mark.parametrize("storage_format", FORMATS)
def test_a_file_replaced_by_one_of_its_size_is_named(tmp_path: Path, storage_format: str) -> None:
    receipt = publish_ratings(tmp_path, OLD, storage_format)
    path = first_file(tmp_path, receipt)
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)
    text = refusal(tmp_path, receipt)
    assert str(path.relative_to(tmp_path / receipt.path)) in text
    assert text.endswith("was replaced or damaged: its checksum differs")


def test_a_thorough_check_finds_damage_that_kept_size_and_time(tmp_path: Path) -> None:
    receipt = publish_ratings(tmp_path, OLD)
    path = first_file(tmp_path, receipt)
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[50] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "its checksum differs" in str(tables.content_problem(tmp_path, receipt, thorough=True))


def test_a_file_with_another_time_and_the_same_bytes_is_no_damage(tmp_path: Path) -> None:
    receipt = publish_ratings(tmp_path, OLD)
    os.utime(first_file(tmp_path, receipt), (0, 0))
    assert tables.content_problem(tmp_path, receipt) is None


@pytest.mark.parametrize("storage_format", FORMATS)
def test_a_table_of_other_content_than_the_receipt_names_is_refused(tmp_path: Path, storage_format: str) -> None:
    receipt = replace(publish_ratings(tmp_path, OLD, storage_format), fingerprint="0" * 16)
    assert "no longer contains" in refusal(tmp_path, receipt)


def test_a_vacuumed_version_is_refused_and_the_newest_stays(tmp_path: Path) -> None:
    old, new = publish_ratings(tmp_path, OLD), publish_ratings(tmp_path, NEW)
    table = DeltaTable(str(tmp_path / old.path))
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert "part-00000" in refusal(tmp_path, old)
    assert refusal(tmp_path, old).endswith("is missing")
    assert rows(tmp_path, new) == sorted_rows(NEW)


def test_a_version_that_the_log_lacks_is_refused(tmp_path: Path) -> None:
    receipt = publish_ratings(tmp_path, OLD)
    delta_log.log_file(tmp_path / receipt.path, 0).unlink()
    assert "lacks version 0" in refusal(tmp_path, receipt)


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    receipt = publish_ratings(tmp_path, OLD)
    delta_log.log_file(tmp_path / receipt.path, 0).write_text('{"add": {"pa', encoding="utf-8")
    assert "cannot be read at version 0" in refusal(tmp_path, receipt)


def test_a_log_that_names_other_files_is_refused(tmp_path: Path) -> None:
    receipt = publish_ratings(tmp_path, OLD)
    log = delta_log.log_file(tmp_path / receipt.path, 0)
    lines = log.read_text(encoding="utf-8").splitlines()
    without_one = [line for line in lines if "add" not in json.loads(line)] + [lines[-1]]
    log.write_text("\n".join(without_one) + "\n", encoding="utf-8")
    assert "lists other files" in refusal(tmp_path, receipt)


@pytest.mark.parametrize(("first", "second"), [("delta", "parquet"), ("parquet", "delta")])
def test_a_folder_with_a_table_of_the_other_format_is_refused_with_the_way_out(
    tmp_path: Path, first: str, second: str
) -> None:
    receipt = publish_ratings(tmp_path, OLD, first)
    with pytest.raises(TableError, match=f"contains a {first} table, but storage_format is {second}") as caught:
        publish_ratings(tmp_path, NEW, second)
    assert caught.value.hint is not None
    assert "force_overwrite=true" in caught.value.hint
    assert rows(tmp_path, receipt) == sorted_rows(OLD)


def test_what_this_pipeline_did_not_write_is_refused_and_removed_only_on_request(tmp_path: Path) -> None:
    target = tmp_path / "silver/ratings"
    write_deltalake(str(target), pa.table({"x": [1]}))
    with pytest.raises(TableError, match="that this pipeline did not write") as caught:
        publish_ratings(tmp_path, NEW)
    assert caught.value.hint is not None and "force_overwrite=true" in caught.value.hint
    assert DeltaTable(str(target)).count() == 1
    publish.remove_foreign_content(target, "delta", "small")
    receipt = publish_ratings(tmp_path, NEW)
    assert (receipt.version, rows(tmp_path, receipt)) == (0, sorted_rows(NEW))
    publish.remove_foreign_content(target, "delta", "small")
    assert rows(tmp_path, receipt) == sorted_rows(NEW), "a table of our own stays"


@pytest.mark.parametrize("storage_format", FORMATS)
def test_a_table_of_another_data_set_is_refused(tmp_path: Path, storage_format: str) -> None:
    publish_ratings(tmp_path, OLD, storage_format)
    with pytest.raises(TableError, match="contains a table of the data set small, but dataset is other"):
        publish_ratings(tmp_path, NEW, storage_format, dataset="other")


@pytest.mark.parametrize("left", ["pending", "0"])
def test_what_a_killed_first_writer_left_is_not_foreign(tmp_path: Path, left: str) -> None:
    receipt = publish_ratings(tmp_path, OLD)
    target = tmp_path / receipt.path
    if left == "pending":  # killed before the first commit: files, and no log
        shutil.copy(manifests.manifest_path(target, 0), manifests.manifest_path(target, manifests.PENDING))
        shutil.rmtree(target / "_delta_log")
    assert publish.foreign_content(target, "delta", "small") is None
    assert rows(tmp_path, publish_ratings(tmp_path, NEW)) == sorted_rows(NEW)


def test_a_program_that_commits_between_two_steps_of_a_writer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = publish_ratings(tmp_path, OLD)
    moved = publish.run_in_parallel

    def disturbed(work: object, items: object) -> object:
        table = DeltaTable(str(tmp_path / old.path))
        write_deltalake(table, table.to_pyarrow_table().slice(0, 1), mode="append")
        return moved(work, items)

    monkeypatch.setattr(publish, "run_in_parallel", disturbed)
    with pytest.raises(TableError, match=r"another program wrote to .* at the same time"):
        publish_ratings(tmp_path, NEW)
    monkeypatch.undo()
    assert rows(tmp_path, old) == sorted_rows(OLD)
    assert rows(tmp_path, publish_ratings(tmp_path, NEW)) == sorted_rows(NEW)


def test_an_absent_input_is_never_a_problem(tmp_path: Path) -> None:
    assert tables.content_problem(tmp_path, Receipt("silver/tags", "absent", "silver/tags")) is None


# --- writers that are killed

KILLED = """
import os, signal, sys
from pathlib import Path
import deltalake
from support.builders import publish_ratings, ratings_table
commit = deltalake.DeltaTable.create_write_transaction
def killed(*args, **kwargs):
    if sys.argv[2] == "after":
        commit(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
deltalake.DeltaTable.create_write_transaction = killed
publish_ratings(Path(sys.argv[1]), ratings_table(first_user=100))
"""


def kill_a_writer(root: Path, moment: str) -> None:
    """A process that publishes NEW is killed before or after its commit."""
    tests = str(Path(__file__).resolve().parents[2])
    environ = {**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    run = subprocess.run([sys.executable, "-c", KILLED, str(root), moment], env=environ, check=False)
    assert run.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_writer_killed_before_its_commit_changes_nothing_and_is_cleaned_up(tmp_path: Path) -> None:
    old = publish_ratings(tmp_path, OLD)
    files = tables.data_files(tmp_path / old.path)
    kill_a_writer(tmp_path, "before")
    assert rows(tmp_path, old) == sorted_rows(OLD)
    assert len(tables.data_files(tmp_path / old.path)) > len(files)
    publish.remove_leftovers(tmp_path / old.path)
    assert tables.data_files(tmp_path / old.path) == files
    assert not manifests.manifest_path(tmp_path / old.path, manifests.PENDING).exists()
    new = publish_ratings(tmp_path, NEW)
    assert new.version == 1
    assert (rows(tmp_path, old), rows(tmp_path, new)) == (sorted_rows(OLD), sorted_rows(NEW))


@pytest.mark.slow
def test_a_writer_killed_after_its_commit_has_published(tmp_path: Path) -> None:
    old = publish_ratings(tmp_path, OLD)
    kill_a_writer(tmp_path, "after")
    new = publish_ratings(tmp_path, NEW)
    assert new.version == 1
    assert (rows(tmp_path, old), rows(tmp_path, new)) == (sorted_rows(OLD), sorted_rows(NEW))
    assert not manifests.manifest_path(tmp_path / old.path, manifests.PENDING).exists()


def test_what_a_killed_writer_staged_does_not_get_into_the_next_table(tmp_path: Path) -> None:
    target = tmp_path / "silver/ratings"
    stage(target, NEW)
    receipt = publish_ratings(tmp_path, OLD)
    assert rows(tmp_path, receipt) == sorted_rows(OLD)
    assert list((tmp_path / "silver").iterdir()) == [target]


# --- going back


def test_an_older_version_can_be_made_the_newest_again(tmp_path: Path) -> None:
    old, new = publish_ratings(tmp_path, OLD), publish_ratings(tmp_path, NEW)
    publish.restore_head(tmp_path, old)
    table = DeltaTable(str(tmp_path / old.path))
    assert table.version() == 2
    assert sorted_rows(table.to_pyarrow_table()) == sorted_rows(OLD)
    assert (rows(tmp_path, old), rows(tmp_path, new)) == (sorted_rows(OLD), sorted_rows(NEW))


def test_going_back_twice_or_to_the_newest_commits_nothing(tmp_path: Path) -> None:
    old, new = publish_ratings(tmp_path, OLD), publish_ratings(tmp_path, NEW)
    publish.restore_head(tmp_path, new)
    assert delta_log.head_version(tmp_path / new.path) == 1
    publish.restore_head(tmp_path, old)
    publish.restore_head(tmp_path, old)
    assert delta_log.head_version(tmp_path / old.path) == 2
    assert publish_ratings(tmp_path, OLD).version == 2
    publish.restore_head(tmp_path, new)
    assert sorted_rows(DeltaTable(str(tmp_path / new.path)).to_pyarrow_table()) == sorted_rows(NEW)


def test_going_back_does_nothing_to_a_parquet_table(tmp_path: Path) -> None:
    receipt = publish_ratings(tmp_path, OLD, "parquet")
    publish.restore_head(tmp_path, receipt)
    assert rows(tmp_path, receipt) == sorted_rows(OLD)


# --- files


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ('{"a": 1, "generated_ts": "x"}', '{"generated_ts": "y", "a": 1}', True),
        ('{"a": [{"b": 1, "execution_ts": 1}]}', '{"a": [{"execution_ts": 2, "b": 1}]}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', False),
        ("{", "{ ", False),
    ],
)
def test_the_time_of_writing_is_not_part_of_a_json_files_content(
    tmp_path: Path, first: str, second: str, same: bool
) -> None:
    found = []
    for text in (first, second):
        (tmp_path / "a.json").write_text(text, encoding="utf-8")
        found.append(file_fingerprint(tmp_path / "a.json"))
    assert (found[0] == found[1]) == same


def test_the_day_of_a_page_is_not_part_of_its_content(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    found = []
    for day, text in (("1 May", "a"), ("2 May", "a"), ("2 May", "b")):
        page.write_text(f'<h1><time datetime="{day}">{day}</time></h1>{text}', encoding="utf-8")
        found.append(file_fingerprint(page))
    assert found[0] == found[1] != found[2]


def test_any_byte_of_another_file_is_part_of_its_content(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"1,2\n")
    receipt = Receipt("bronze/ratings", "file", "ratings.csv", fingerprint=file_fingerprint(path))
    assert tables.content_problem(tmp_path, receipt) is None
    path.write_bytes(b"1,2\r\n")
    assert "differs from what was written" in str(tables.content_problem(tmp_path, receipt))


def test_two_folders_are_exchanged(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"of {name}").touch()
    publish.swap_folders(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["of b"]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["of a"]


@pytest.mark.slow
def test_no_script_waits_for_pandas_before_it_reads_a_table() -> None:
    scripts = sorted(map(str, (ROOT / "scripts").glob("*.py")))
    assert len(scripts) > 20
    look = "runpy.run_path(path); assert 'pandas' not in sys.modules, path"
    code = f"import runpy, sys\nfor path in sys.argv[1:]: {look}"
    ran = subprocess.run([sys.executable, "-c", code, *scripts], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
