from __future__ import annotations

import pyarrow as pa
import pytest

from reco_platform.contracts.tables import RECOMMENDATION
from reco_platform.lakehouse.source_ids import NUMBERS, AllSourceIds, SourceIds, UnknownIdError

USERS = pa.table({"user_id": pa.array([1, 0, 2], pa.int32()), "source_id": ["Zoë", "A3SG7", "zoë"]})
ITEMS = pa.table({"movie_id": pa.array([0, 1], pa.int32()), "source_id": ["B00X", "00042"]})
IDS = AllSourceIds.read({"users": USERS, "items": ITEMS}.get)


def test_an_id_is_shown_and_taken_as_the_source_writes_it() -> None:
    assert [IDS.users.shown(number) for number in range(3)] == ["A3SG7", "Zoë", "zoë"]
    assert [IDS.users.number(text) for text in ("A3SG7", "Zoë", "zoë")] == [0, 1, 2]
    assert IDS.movies.number("00042") == 1
    assert IDS.users.numbers(pa.array(["zoë", "nobody", "A3SG7"])).to_pylist() == [2, None, 0]


def test_numbers_are_shown_and_taken_as_they_are() -> None:
    ids = AllSourceIds.read({}.get)
    assert ids == NUMBERS
    assert ids.users.shown(7) == 7
    assert ids.users.number("7") == ids.users.number(7) == 7
    table = pa.table({"user_id": pa.array([7], pa.int32())})
    assert ids.shown_table(table) is table


@pytest.mark.parametrize(
    ("ids", "text", "words"),
    [(IDS.users, "A3SG8", "A3SG7"), (IDS.movies, "42", "silver/items"), (SourceIds("movie"), "B00X", "numbers")],
)
def test_an_unknown_id_is_an_error_with_a_near_one(ids: SourceIds, text: str, words: str) -> None:
    with pytest.raises(UnknownIdError, match=f"there is no {ids.kind} '{text}'") as caught:
        ids.number(text)
    assert words in str(caught.value)


def test_a_table_is_shown_with_source_ids_in_columns_and_in_lists() -> None:
    lists = [[{"movie_id": 1, "score": 4.5, "rank": 1}, {"movie_id": 0, "score": 4.0, "rank": 2}], [], None]
    column = pa.array(lists, pa.list_(RECOMMENDATION))
    table = pa.table({"user_id": pa.array([2, None, 0], pa.int32()), "recommendations": column})
    for part in (table, pa.concat_tables([table.slice(0, 1), table.slice(1)])):
        shown = IDS.shown_table(part)
        assert shown["user_id"].to_pylist() == ["zoë", None, "A3SG7"]
        assert [[item["movie_id"] for item in one or []] for one in shown["recommendations"].to_pylist()] == [
            ["00042", "B00X"], [], [],
        ]  # fmt: skip
        assert shown["recommendations"].to_pylist()[0][0] == {"movie_id": "00042", "score": 4.5, "rank": 1}


def test_the_tables_of_source_ids_are_not_changed() -> None:
    assert IDS.shown_table(USERS) is USERS
