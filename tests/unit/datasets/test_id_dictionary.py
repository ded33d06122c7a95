from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reco_platform.datasets.id_dictionary import DictionaryError, IdDictionary


def load(folder: Path) -> IdDictionary:
    return IdDictionary.load(folder, "users")


def encode(folder: Path, *texts: str | None) -> list[int | None]:
    """The numbers of one import's texts, whose dictionary is then saved."""
    dictionary = load(folder)
    found: list[int | None] = dictionary.encode(pa.array(texts, pa.string())).to_pylist()
    dictionary.save()
    return found


def test_numbers_count_from_0_in_order_of_first_appearance(tmp_path: Path) -> None:
    assert encode(tmp_path, "b", "a", "b", "c", "a") == [0, 1, 0, 2, 1]
    assert load(tmp_path).texts().to_pylist() == ["b", "a", "c"]


def test_a_number_that_was_given_never_changes_whatever_rows_come_later_and_in_whatever_order(tmp_path: Path) -> None:
    rng = random.Random(1)
    given: dict[str, int] = {}
    texts: list[str] = []
    for _ in range(20):
        texts += [f"user {rng.randrange(5000)}" for _ in range(300)]
        rng.shuffle(texts)
        rows = texts[: rng.randrange(1, len(texts))]  # an earlier or a later state of the file
        for text, number in zip(rows, encode(tmp_path, *rows), strict=True):
            assert given.setdefault(text, number) == number
    assert sorted(given.values()) == list(range(len(given)))
    assert load(tmp_path).texts().take(pa.array(given.values())).to_pylist() == list(given)


def test_the_same_history_gives_the_same_files_however_the_rows_come_in_batches(tmp_path: Path) -> None:
    history = [[f"{number * 7919 % 1000}" for number in range(first, first + 6000)] for first in (0, 100, 5000)]
    folders = [tmp_path / "whole", tmp_path / "batches"]
    for texts in history:
        encode(folders[0], *texts)
        dictionary = load(folders[1])
        for first in range(0, len(texts), 7):
            dictionary.encode(pa.array(texts[first : first + 7]))
        dictionary.save()
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1]


def test_without_new_ids_no_file_changes(tmp_path: Path) -> None:
    encode(tmp_path, "a", "b")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert encode(tmp_path, "b", "a") == [1, 0]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_new_ids_are_appended_and_earlier_files_stay(tmp_path: Path) -> None:
    encode(tmp_path, "a", "b")
    first = (tmp_path / "users-0000000000.parquet").read_bytes()
    encode(tmp_path, "c", "a")
    assert (tmp_path / "users-0000000000.parquet").read_bytes() == first
    assert pq.read_table(tmp_path / "users-0000000002.parquet").to_pydict() == {"source_id": ["c"]}


@pytest.mark.parametrize("blank", [None, "", " ", "\t\r\n", "\0", "\x7f\x01 "])
def test_an_id_without_a_visible_character_gets_no_number(tmp_path: Path, blank: str | None) -> None:
    assert encode(tmp_path, "a", blank, "b") == [0, None, 1]


def test_ids_that_differ_in_blanks_case_or_normal_form_stay_apart(tmp_path: Path) -> None:
    texts = ["Zoë", unicodedata.normalize("NFD", "Zoë"), "zoë", " Zoë", "Zoë ", "Zoë\n", "Zo\0ë", "0", "00", "\u3000"]
    assert encode(tmp_path, *texts) == list(range(len(texts)))
    assert encode(tmp_path, *reversed(texts)) == list(reversed(range(len(texts))))


def test_texts_of_any_length_and_number_keep_apart(tmp_path: Path) -> None:
    texts = [letter * length for length in (*range(1, 70), 5000, 300_000) for letter in "xyz"]
    texts += [f"{number}" for number in range(20_000)]
    assert encode(tmp_path, *texts) == list(range(len(texts)))
    assert load(tmp_path).texts().to_pylist() == texts


def test_columns_of_other_types_are_read_as_text(tmp_path: Path) -> None:
    dictionary = load(tmp_path)
    assert dictionary.encode(pa.array([2**62, 7, None])).to_pylist() == [0, 1, None]
    assert dictionary.encode(pa.array(["7", "x"]).dictionary_encode()).to_pylist() == [1, 2]
    chunked = pa.chunked_array([["x"], [], ["7", "y"]], pa.large_string())
    assert dictionary.encode(chunked).to_pylist() == [2, 1, 3]
    assert dictionary.encode(pa.array(["", "x", "y"]).slice(1)).to_pylist() == [2, 3]
    assert dictionary.encode(pa.array([], pa.string())).to_pylist() == []


def test_the_files_of_a_killed_writer_do_not_count(tmp_path: Path) -> None:
    encode(tmp_path, "a")
    state = (tmp_path / "users.json").read_bytes()
    encode(tmp_path, "b", "c")
    (tmp_path / "users.json").write_bytes(state)  # as if it had been killed before the last write
    assert encode(tmp_path, "c", "b") == [1, 2]
    assert load(tmp_path).texts().to_pylist() == ["a", "c", "b"]


def edit_part(folder: Path) -> None:
    pq.write_table(pa.table({"source_id": ["x", "b"]}), folder / "users-0000000000.parquet")


def edit_list(folder: Path) -> None:
    path = folder / "users.json"
    body = json.loads(path.read_text("utf-8"))
    body["parts"] = body["parts"][:1]
    path.write_text(json.dumps(body, indent=1) + "\n", "utf-8")


def delete_part(folder: Path) -> None:
    (folder / "users-0000000002.parquet").unlink()


def garble_list(folder: Path) -> None:
    (folder / "users.json").write_text("{", "utf-8")


@pytest.mark.parametrize("damage", [edit_part, edit_list, delete_part, garble_list])
def test_a_dictionary_that_was_edited_is_refused_with_the_file_and_the_next_command(tmp_path: Path, damage) -> None:
    encode(tmp_path, "a", "b")
    encode(tmp_path, "c")
    damage(tmp_path)
    with pytest.raises(DictionaryError, match=r"users[-0-9]*\.(json|parquet)") as caught:
        load(tmp_path)
    assert str(tmp_path) in (caught.value.hint or "")
