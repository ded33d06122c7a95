"""Imports of a user's files with texts as ids: what the numbers promise, whatever happens to the files."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest

from reco_platform.datasets import bronze
from reco_platform.datasets.id_dictionary import DictionaryError, read_texts, read_used_ids
from reco_platform.datasets.registry import DirectoryDataset
from reco_platform.datasets.source_layout import SourceLayout
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.store.atomic_write import write_text

ROWS = [f"user {number % 7},item {number * 3 % 11},{1 + number % 5},{1_000_000_000 + number}" for number in range(60)]
ITEMS = [f"item {number},Title {number},Drama" for number in range(15)]
CHANGES = {
    "rows before the others": [f"new {number},item {number},3,1000000100" for number in range(5)] + ROWS,
    "rows in another order": list(reversed(ROWS)),
    "rows removed": ROWS[30:],
    "another user between": [*ROWS[:7], "between,item 999,4,1000000100", *ROWS[7:]],
}


class Shop:
    """A folder with a user's files, and the lakehouse that they are imported into."""

    def __init__(self, root: Path) -> None:
        self.source, self.lakehouse = root / "source", Lakehouse(str(root / "lake"), "shop")
        self.source.mkdir(parents=True)
        self.bronze = root / "lake" / "bronze" / "movielens" / "shop"

    def write(self, rows: list[str], items: list[str]) -> None:
        (self.source / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *rows]) + "\n", "utf-8")
        (self.source / "movies.csv").write_text("\n".join(["movieId,title,genres", *items]) + "\n", "utf-8")

    def run(self, rows: list[str] = ROWS, items: list[str] = ITEMS) -> dict[str, Any]:
        """One run of the bronze step; the content of every file that later steps read."""
        self.write(rows, items)
        dataset = DirectoryDataset(name="shop", path=self.source, layout=SourceLayout(id_type="text"))
        bronze.import_csv_files(dataset, self.lakehouse, lambda _: None)
        for name in ("ratings", "movies", "users", "items"):
            receipt = bronze.csv_receipt(dataset, self.lakehouse, name)
            write_text(bronze.memo_path(self.lakehouse, name), receipt.text())
        return {path.name: path.read_bytes() for path in self.bronze.iterdir() if path.is_file()}

    def numbers(self, name: str) -> dict[str, int]:
        """The number of each source id that the present files use."""
        used = read_used_ids(bronze.used_ids_path(self.lakehouse, name))
        texts = read_texts(bronze.dictionary_folder(self.lakehouse), name, used).to_pylist()  # type: ignore[arg-type]
        return dict(zip(texts, range(len(texts)), strict=True))

    def pairs(self) -> list[str]:
        """The ratings in bronze with the source ids put back."""
        table = pyarrow.csv.read_csv(self.bronze / "ratings.csv").to_pylist()
        users, items = (list(self.numbers(name)) for name in ("users", "items"))
        return [f"{users[row['userId']]},{items[row['movieId']]}" for row in table]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_ratings_and_items_share_the_numbers_and_no_row_is_lost(shop: Shop) -> None:
    shop.run()
    assert shop.pairs() == [row.rsplit(",", 2)[0] for row in ROWS]
    titles = {row["movieId"]: row["title"] for row in pyarrow.csv.read_csv(shop.bronze / "movies.csv").to_pylist()}
    assert titles == {number: text.replace("item", "Title") for text, number in shop.numbers("items").items()}


@pytest.mark.parametrize("change", CHANGES)
def test_a_number_never_changes_and_going_back_gives_the_same_bytes(shop: Shop, change: str) -> None:
    first = shop.run()
    users, items = shop.numbers("users"), shop.numbers("items")
    changed = shop.run(CHANGES[change], ["item new,Other,Drama", *ITEMS])
    assert shop.pairs() == [row.rsplit(",", 2)[0] for row in CHANGES[change]]
    assert all(shop.numbers("users")[text] == number for text, number in users.items())
    assert all(shop.numbers("items")[text] == number for text, number in items.items())
    assert shop.run() == first  # so that every later step is restored from its memo
    assert shop.run(CHANGES[change], ["item new,Other,Drama", *ITEMS]) == changed


def test_the_same_history_gives_the_same_bronze_layer(tmp_path: Path) -> None:
    history = [ROWS[:20], *CHANGES.values(), ROWS]
    shops = [Shop(tmp_path / name) for name in ("first", "second")]
    for rows in history:
        assert shops[0].run(rows) == shops[1].run(rows)


def test_numbers_do_not_change_over_many_random_histories(shop: Shop) -> None:
    rng = random.Random(5)
    given: dict[str, int] = {}
    for _ in range(12):
        rows = rng.sample(ROWS + CHANGES["rows before the others"][:5], rng.randrange(10, 60))
        shop.run(rows)
        for text, number in shop.numbers("users").items():
            assert given.setdefault(text, number) == number


def test_an_import_that_was_killed_before_its_files_were_placed_changes_no_number(shop: Shop, tmp_path: Path) -> None:
    shop.run(ROWS[:20])
    copy = tmp_path / "copy"
    shutil.copytree(shop.bronze, copy)
    after = shop.run(CHANGES["another user between"])
    numbers = shop.numbers("users")
    dictionary = bronze.dictionary_folder(shop.lakehouse)
    shutil.copytree(dictionary, copy / "_ids", dirs_exist_ok=True)  # it is saved first
    shutil.rmtree(shop.bronze)
    copy.rename(shop.bronze)
    assert shop.run(CHANGES["another user between"]) == after
    assert shop.numbers("users") == numbers


def delete_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def delete_list(folder: Path) -> None:
    (folder / "users.json").unlink()


def edit_part(folder: Path) -> None:
    part = folder / "items-0000000000.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"X")


def truncate(folder: Path) -> None:
    """As if an older backup had been put back."""
    other = Shop(folder.parents[3].parent / "other")
    other.run(ROWS[:3], ITEMS[:1])
    shutil.rmtree(folder)
    shutil.copytree(bronze.dictionary_folder(other.lakehouse), folder)


@pytest.mark.parametrize("damage", [delete_folder, delete_list, edit_part, truncate])
def test_a_dictionary_that_was_deleted_or_edited_is_an_error_with_the_next_command(shop: Shop, damage: Any) -> None:
    before = shop.run()
    damage(shop.bronze / "_ids")
    with pytest.raises(DictionaryError, match=r"_ids") as caught:
        shop.run([*ROWS, "another,item 1,3,1000000100"])
    assert "clean" in (caught.value.hint or "")
    assert (shop.bronze / "ratings.csv").read_bytes() == before["ratings.csv"]


def test_ids_that_look_alike_stay_apart_and_blank_ones_are_left_for_silver_to_reject(shop: Shop) -> None:
    ids = ["Zoë", "Zoe\u0308", "zoë", " Zoë", "007", "7", " ", ""]
    shop.run([f"{text},item,3,1000000000" for text in ids], ITEMS[:1])
    assert list(shop.numbers("users")) == ids[:-2]
    rows = (shop.bronze / "ratings.csv").read_text("utf-8").splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["0", "1", "2", "3", "4", "5", " ", ""]
