"""What `clean` removes from a lakehouse, and that it removes nothing outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reco_platform.core.errors import ConfigError, TableError
from reco_platform.engine import run_lock
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.maintenance import clean
from reco_platform.pipeline.steps_table import LAYERS, folders_of
from reco_platform.store import locks


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """A lakehouse with a file in every place that the pipeline fills, and one of the user's own beside each layer."""
    lakehouse = Lakehouse(str(tmp_path / "lake"), "small")
    for layer in (*LAYERS, "runs"):
        for artifact in folders_of(layer, "small"):
            name = artifact if "." in artifact else f"{artifact}/deep/er/data"
            write(lakehouse.folder / name, "0123456789")
            if "." not in artifact:
                write(Path(lakehouse.receipt(artifact)), "{}")
    for name in ("notes.txt", "gold/mine/data", "bronze/movielens/other/ratings.csv"):
        write(lakehouse.folder / name, "mine")
    return lakehouse


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_lakehouse_is_removed_and_foreign_files_stay(lakehouse: Lakehouse) -> None:
    found = clean.layer_removals(lakehouse, (*LAYERS, "runs"))
    assert {"gold/interactions", "silver/ratings", "sweeps", "_logs"} <= {one.description for one in found}
    assert next(one.bytes for one in found if one.description == "silver/ratings") == 12, (
        "the table's file and its receipt"
    )
    clean.remove(lakehouse, found)
    root = lakehouse.folder
    assert files(root) == {"notes.txt", "gold/mine/data", "bronze/movielens/other/ratings.csv"}
    assert {path.name for path in root.iterdir()} == {"notes.txt", "gold", "bronze"}, "empty folders went"
    assert clean.remove_root(lakehouse) == ["bronze", "gold", "notes.txt"]


def test_one_layer_is_removed_alone(lakehouse: Lakehouse) -> None:
    before = files(lakehouse.folder)
    clean.remove(lakehouse, clean.layer_removals(lakehouse, ("silver",)))
    assert {name.split("/")[0] for name in before - files(lakehouse.folder)} == {"silver"}


def test_an_empty_lakehouse_is_removed_with_its_lock(lakehouse: Lakehouse) -> None:
    for name in ("notes.txt", "gold/mine/data", "bronze/movielens/other/ratings.csv"):
        (lakehouse.folder / name).unlink()
        clean.remove_empty_folders(lakehouse, (lakehouse.folder / name).parent)
    with run_lock.lock_lakehouse(lakehouse):
        clean.remove(lakehouse, clean.layer_removals(lakehouse, (*LAYERS, "runs")))
        assert clean.remove_root(lakehouse) == []
    assert not lakehouse.folder.exists()


def test_symlinks_are_not_followed(lakehouse: Lakehouse, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside / "table/data", "precious")
    write(outside / "gold/interactions/data", "precious")
    inside = lakehouse.folder / "silver/ratings/deep/link"
    inside.symlink_to(outside)
    table = lakehouse.folder / "silver/movies"
    clean.remove_path(table)
    table.symlink_to(outside / "table")
    clean.remove_path(lakehouse.folder / "gold")
    (lakehouse.folder / "gold").symlink_to(outside / "gold")
    found = clean.layer_removals(lakehouse, ("silver", "gold"))
    assert any("silver/movies" in one.description and "a symlink" in one.description for one in found)
    assert not any(one.description.startswith("gold/") for one in found), "it lies behind a symlink"
    clean.remove(lakehouse, found)
    assert files(outside) == {"table/data", "gold/interactions/data"}
    assert (lakehouse.folder / "gold").is_symlink() and not (lakehouse.folder / "silver").exists()
    with pytest.raises(TableError, match="behind a symlink"):
        clean.remove(lakehouse, [clean.Removal.of("x", lakehouse.folder / "gold/interactions")])


def test_a_lakehouse_that_is_itself_a_symlink_is_emptied_and_its_link_stays(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    link = Lakehouse(str(tmp_path / "link"), "small")
    Path(link.root).symlink_to(lakehouse.root)
    clean.remove(link, clean.layer_removals(link, (*LAYERS, "runs")))
    assert files(lakehouse.folder) == {"notes.txt", "gold/mine/data", "bronze/movielens/other/ratings.csv"}


@pytest.mark.parametrize("content", [{}, {"ratings.csv": "1"}, {"gold/interactions/data": "1"}, {"other.json": "{}"}])
def test_a_folder_that_is_no_lakehouse_is_refused(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        write(tmp_path / name, text)
    with pytest.raises(ConfigError, match="is not a lakehouse of this pipeline"):
        clean.check_is_lakehouse(Lakehouse(str(tmp_path), "small"))


@pytest.mark.parametrize(
    "mark", ["config.resolved.json", "gold/models/als.receipt.json", "silver/ratings.receipt.json"]
)
def test_a_receipt_or_the_resolved_configuration_marks_a_lakehouse(tmp_path: Path, mark: str) -> None:
    write(tmp_path / mark, json.dumps({}))
    clean.check_is_lakehouse(Lakehouse(str(tmp_path), "small"))


def test_a_locked_lakehouse_is_refused_with_its_process(lakehouse: Lakehouse) -> None:
    lock = locks.acquire_lock(lakehouse.folder)
    assert lock is not None
    with lock, pytest.raises(TableError, match=r"another run holds .*process \d+"), run_lock.lock_lakehouse(lakehouse):
        raise AssertionError("it was held")
    with run_lock.lock_lakehouse(lakehouse):
        assert locks.acquire_lock(lakehouse.folder) is None


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (5e15, "5000.0 TB")],
)
def test_sizes_are_formatted_with_units(count: int, said: str) -> None:
    assert clean.format_bytes(int(count)) == said


def test_a_list_ends_with_the_total(tmp_path: Path) -> None:
    shown = list(clean.removal_lines([clean.Removal("a", (), 1500), clean.Removal("b", (tmp_path,), 500)]))
    assert [line.split() for line in shown] == [["1.5", "kB", "a"], ["500", "bytes", "b"], ["2.0", "kB", "total"]]
