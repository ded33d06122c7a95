"""A lakehouse remembers what it was made from, and a folder of a user's own needs a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from reco_platform.config.load import load_config
from reco_platform.core.errors import ConfigError
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.pipeline import remembered, workflow
from support import layouts


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of films, seen from the folder that runs work in."""
    monkeypatch.chdir(tmp_path)
    layouts.KNOWN_LAYOUTS["movielens"](tmp_path / "films", layouts.some_ratings(50))
    return "films"


def remember(**given: str) -> Lakehouse:
    """As a run does with a configuration."""
    config = load_config(given, {})
    lakehouse = Lakehouse(config.root, config.dataset)
    lakehouse.records.mkdir(parents=True, exist_ok=True)
    remembered.write(lakehouse, remembered.memory_of(config, {}))
    return lakehouse


def run(**given: str) -> workflow.Workflow:
    """The start of a run, which records what its lakehouse is made from."""
    prepared = workflow.prepare(given, {})
    prepared.lakehouse.records.mkdir(parents=True, exist_ok=True)
    remembered.write(prepared.lakehouse, prepared.memory)
    return prepared


def test_after_one_run_the_name_is_enough(films: str) -> None:
    remember(dataset="mine", dataset_path=films)
    found = workflow.prepare({"dataset": "mine"}, {})
    assert found.config.dataset_path == films and found.origin.recalled == {"dataset_path": films}
    assert found.notes[0].startswith("[INFO] dataset=mine goes on with dataset_path=films, as remembered")


@pytest.mark.parametrize("further", [{"storage_format": "parquet"}, {"lakehouse": "results/by-user"}])
def test_another_lakehouse_of_the_same_data_set_goes_on_too(further: dict[str, str], films: str) -> None:
    remember(dataset="mine", dataset_path=films)
    assert workflow.prepare({"dataset": "mine", **further}, {}).config.dataset_path == films


def test_a_key_given_anew_goes_before(films: str, tmp_path: Path) -> None:
    remember(dataset="mine", dataset_path="gone")
    found = workflow.prepare({"dataset": "mine", "dataset_path": films}, {})
    assert found.config.dataset_path == films and not found.notes


def test_a_sweep_goes_on_too(films: str) -> None:
    remember(dataset="mine", dataset_path=films)
    assert workflow.prepare_sweep({"dataset": "mine", "rank": "2,3"}, {}).config.dataset_path == films


def test_another_data_set_in_the_same_folder_remembers_nothing(films: str) -> None:
    remember(dataset="mine", dataset_path=films, lakehouse="lake")
    with pytest.raises(ConfigError, match="there is no 'other'"):
        workflow.prepare({"dataset": "other", "lakehouse": "lake"}, {})


def test_a_relative_folder_is_absolute_where_the_lakehouse_is(films: str, tmp_path: Path) -> None:
    lakehouse = remember(dataset="mine", dataset_path=films, lakehouse=str(tmp_path / "lake"))
    assert remembered.read(lakehouse) == remembered.Memory({"dataset_path": str(tmp_path / films)})


def test_an_entry_of_the_registry_is_not_remembered(films: str) -> None:
    lakehouse = remember(dataset="mine", dataset_path=films)
    remembered.write(lakehouse, remembered.memory_of(load_config({"dataset": "mine"}, {}), {}))
    assert remembered.read(lakehouse) == remembered.Memory()


def test_a_damaged_record_is_a_clear_error(films: str) -> None:
    lakehouse = remember(dataset="mine", dataset_path=films)
    remembered.path_of(lakehouse).write_text("{")
    with pytest.raises(ConfigError, match=r"results/mine/dataset\.json is damaged"):
        workflow.prepare({"dataset": "mine"}, {})


def test_a_folder_without_a_name_is_refused_with_the_command_that_was_meant(films: str) -> None:
    with pytest.raises(ConfigError, match="given without dataset") as caught:
        workflow.prepare({"dataset_path": films, "rank": "20"}, {}, "silver")
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("silver --config dataset=films dataset_path=films rank=20")
    with pytest.raises(ConfigError, match="given without dataset"):
        workflow.prepare_sweep({"dataset_path": films, "rank": "20,30"}, {})


# --- what is found in the files


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with a shop's ratings, seen from the folder that runs work in."""
    monkeypatch.chdir(tmp_path)
    lines = [f"K-{r.user};{r.item};{r.stars * 2:.0f};{r.iso}" for r in layouts.some_ratings()]
    layouts.write(tmp_path / "shop", {"ratings.csv": ["kunde;artikel;bewertung;datum", *lines]})
    return "shop"


FOUND = {
    "items_file": "none", "delimiter": ";", "user_column": "kunde", "item_column": "artikel",
    "rating_column": "bewertung", "time_column": "datum", "time_unit": "iso8601", "rating_scale": "1..10:1",
    "id_type": "text",
}  # fmt: skip


def test_a_layout_that_is_sure_is_taken_said_and_remembered(shop: str) -> None:
    first = run(dataset="mine", dataset_path=shop)
    assert first.origin.found == FOUND and first.config.delimiter == ";"
    assert "[INFO] the files in shop are read as if by --config items_file=none" in first.notes[0]
    later = workflow.prepare({"dataset": "mine"}, {})
    assert later.origin.found == {} and later.origin.recalled == {"dataset_path": shop, **FOUND}
    assert later.config == first.config and later.memory == first.memory


def test_a_key_given_later_changes_that_key_alone(shop: str) -> None:
    run(dataset="mine", dataset_path=shop)
    later = run(dataset="mine", rating_scale="1..20")
    assert later.config.rating_scale == "1..20" and later.config.user_column == "kunde"
    assert workflow.prepare({"dataset": "mine"}, {}).config == later.config


def test_other_files_are_looked_at_anew(shop: str, films: str) -> None:
    run(dataset="mine", dataset_path=shop)
    other = workflow.prepare({"dataset": "mine", "dataset_path": films}, {})
    assert other.origin.values == {} and other.config.delimiter is None


def test_keys_that_were_given_stay_for_other_files(shop: str, tmp_path: Path) -> None:
    run(dataset="mine", dataset_path=shop, **FOUND)
    (tmp_path / "shop").rename(tmp_path / "march")
    assert workflow.prepare({"dataset": "mine", "dataset_path": "march"}, {}).config.user_column == "kunde"


def test_a_layout_that_is_not_sure_stops_with_the_alternatives_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"x{r.user},y{r.item},{r.whole},{r.iso}" for r in layouts.some_ratings()]
    layouts.write(tmp_path / "odd", {"data.csv": ["a,b,c,d", *lines]})
    with pytest.raises(ConfigError, match="or user_column=b") as caught:
        workflow.prepare({"dataset": "mine", "dataset_path": "odd"}, {})
    assert caught.value.hint is not None and "inspect odd --save mine.yaml" in caught.value.hint
    given = {"ratings_file": "data.csv", "items_file": "none", "user_column": "a", "item_column": "b"}
    assert workflow.prepare({"dataset": "mine", "dataset_path": "odd", **given}, {}).origin.values == {}


@pytest.mark.parametrize("rows", [["1,1,5.0,x"], ["a,b,c,d"], []])
def test_files_with_movielens_columns_are_never_a_question(
    rows: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    header = "userId,movieId,rating,timestamp"
    layouts.write(tmp_path / "own", {"ratings.csv": [header, *rows], "movies.csv": ["movieId,title,genres", "1,A,B"]})
    assert workflow.prepare({"dataset": "mine", "dataset_path": "own"}, {}).origin.values == {}


def test_movielens_files_with_another_scale_or_unit_of_time_need_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, keys in (("ten-points", {"rating_scale": "1..10:1"}), ("milliseconds", {"time_unit": "ms"})):
        layouts.USERS_LAYOUTS[name](tmp_path / name, layouts.some_ratings())
        found = workflow.prepare({"dataset": "mine", "dataset_path": name}, {})
        assert found.origin.found == keys
