"""The layout of a user's files: config keys, known layouts, contradictions."""

from __future__ import annotations

from typing import Any

import pytest

from reco_platform.config.commands import non_default_values
from reco_platform.config.known_layouts import KNOWN_LAYOUTS
from reco_platform.config.load import load_config
from reco_platform.config.model import Config
from reco_platform.core.errors import ConfigError
from reco_platform.datasets.source_layout import (
    LAYOUT_KEYS,
    SourceLayout,
    from_text,
    from_values,
    given_values,
    refuse_contradictions,
)


def layout(**values: Any) -> SourceLayout:
    config = load_config(values, {}).model_dump()
    refuse_contradictions(config)
    return from_values(config)


def problem(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        layout(**values)
    return caught.value.message


def test_every_field_of_the_layout_is_a_config_key_without_a_default_of_its_own() -> None:
    assert {name: Config.model_fields[name].default for name in LAYOUT_KEYS} == dict.fromkeys(LAYOUT_KEYS)


def test_without_keys_the_layout_is_that_of_movielens() -> None:
    assert layout() == SourceLayout()
    assert layout().is_movielens and layout(rating_scale="1..10").is_movielens
    assert not layout(delimiter=";").is_movielens


def test_files_of_items_are_written_like_those_of_ratings_unless_said_otherwise() -> None:
    found = layout(delimiter="tab", header="false", encoding="latin-1", items_header="true", items_id_column="id")
    assert (found.delimiter, found.items_delimiter, found.items_encoding) == ("\t", "\t", "latin-1")
    assert (found.user_column, found.time_column) == ("1", "4")
    assert (found.items_header, found.items_id_column, found.title_column) == (True, "id", "title")


def test_a_layout_survives_its_text() -> None:
    config = load_config({"rating_column": "none", "event_column": "what", "event_weights": "view=1 buy=5"}, {})
    found = from_text(given_values(config.model_dump()))
    assert found == from_values(config.model_dump())
    assert found.event_weights == (("view", 1.0), ("buy", 5.0)) and found.rating_column is None
    assert found.rating_scale == "none" and not config.scale.has_ratings


@pytest.mark.parametrize("name", KNOWN_LAYOUTS)
def test_every_known_layout_is_free_of_contradictions(name: str) -> None:
    layout(layout=name)


def test_an_explicit_key_replaces_the_value_of_a_known_layout() -> None:
    config = load_config({"layout": "ml-1m", "encoding": "utf-8"}, {})
    assert (config.encoding, config.delimiter, config.rating_scale) == ("utf-8", "::", "1..5")
    assert non_default_values(config) == {"layout": "ml-1m", "encoding": "utf-8"}


def test_data_without_times_are_split_at_random_unless_said_otherwise() -> None:
    assert load_config({"time_column": "none"}, {}).split == "random"
    assert load_config({"layout": "book-crossing"}, {}).split == "random"
    assert "split=user_time needs times" in problem(time_column="none", split="user_time")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"user_column": "id", "item_column": "id"}, "user_column and item_column are both the column 'id'"),
        ({"user_column": "movieId"}, "user_column and item_column are both the column 'movieId'"),
        ({"header": "false", "user_column": "user"}, "user_column='user': header=false, so a column is a position"),
        ({"event_weights": "view=1"}, "event_weights needs event_column"),
        ({"event_column": "what", "event_weights": "view=1"}, "event_weights needs rating_column=none"),
        ({"items_file": "none", "title_column": "name"}, "title_column needs an items_file"),
        ({"time_column": "none", "time_unit": "ms"}, "time_unit needs a time_column"),
        ({"file_format": "parquet", "delimiter": ";"}, "delimiter has no meaning with file_format=parquet"),
        ({"encoding": "utf-9"}, "encoding='utf-9' is not an encoding"),
        ({"time_zone": "Mars/Base"}, "time_zone='Mars/Base' is not a time zone"),
        ({"rating_column": "none", "rating_scale": "1..5"}, "rating_scale=1..5 contradicts rating_column=none"),
        ({"rating_scale": "5..1"}, "rating_scale='5..1': the least rating must be below the greatest"),
        ({"rating_column": "none", "event_column": "e", "event_weights": "a=1 a=2"}, "'a=2' is not EVENT=WEIGHT"),
        ({"time_unit": "days"}, "s, ms, us, ns, iso8601, excel, or a pattern"),
        ({"ratings_file": "none"}, "ratings_file=none"),
    ],
)
def test_contradictions_are_refused_with_the_keys(values: dict[str, Any], expected: str) -> None:
    assert expected in problem(**values)


def test_all_contradictions_are_reported_at_once() -> None:
    assert len(problem(encoding="utf-9", time_zone="Mars/Base", event_weights="a=1").splitlines()) == 4
