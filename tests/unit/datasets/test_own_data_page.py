"""The examples of docs/own-data.md: inspect finds their layout, and the import reads every row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reco_platform.config.load import load_config
from reco_platform.datasets.acquire import acquire
from reco_platform.datasets.inspection.detect import inspect
from reco_platform.datasets.registry import DirectoryDataset
from reco_platform.datasets.source_layout import from_values, refuse_contradictions

PAGE = Path(__file__).resolve().parents[3] / "docs" / "own-data.md"
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> dict[str, tuple[dict[str, str], dict[str, Any]]]:
    """Of each example its files by name, and its config."""
    found = {}
    for section in PAGE.read_text("utf-8").split("\n### ")[1:]:
        blocks = BLOCK.findall(section)
        if blocks:
            files = {name: text for kind, name, text in blocks if kind == "text"}
            (config,) = (yaml.safe_load(text) for kind, _, text in blocks if kind == "yaml")
            found[section.split("\n", 1)[0]] = (files, config)
    return found


EXAMPLES = examples()


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("name", EXAMPLES)
def test_inspect_finds_the_config_of_an_example_and_the_import_reads_its_rows(name: str, tmp_path: Path) -> None:
    files, config = EXAMPLES[name]
    (tmp_path / "data").mkdir()
    for file, text in files.items():
        (tmp_path / "data" / file).write_text(text, "utf-8")
    found = inspect(tmp_path / "data")
    assert found.layout_keys == config and found.is_sure
    values = load_config(config, {}).model_dump()
    refuse_contradictions(values)
    dataset = DirectoryDataset(name="mine", path=tmp_path / "data", layout=from_values(values))
    acquire(dataset, tmp_path / "bronze", tmp_path, report=lambda _: None)
    rows = (tmp_path / "bronze" / "ratings.csv").read_text("utf-8").splitlines()
    assert len(rows) == len(files[config["ratings_file"]].splitlines()), "every row, and the header"
    assert rows[0] == "userId,movieId,rating,timestamp"
