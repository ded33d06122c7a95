"""Arrays in files: made once, mapped by all, made again if they are damaged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from reco_platform.serving import mapped
from reco_platform.serving.mapped import ArrayFiles, Arrays


class Maker:
    """Counts how often arrays are made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Arrays:
        self.times += 1
        return {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.zeros(0, np.float32)}


def test_arrays_are_made_once_and_mapped(tmp_path: Path) -> None:
    make, files = Maker(), ArrayFiles(tmp_path / "x")
    for _ in range(3):
        found = files.get("1", make)
        assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["b"].dtype == np.float32
        assert not found["a"].flags.writeable and type(found["a"]) is np.ndarray
    assert make.times == 1
    assert ArrayFiles(None).get("1", make)["a"].flags.writeable and make.times == 2, "without files"


@pytest.mark.parametrize("damage", ["cut", "gone", "list", "other"])
def test_damaged_arrays_are_made_again(tmp_path: Path, damage: str) -> None:
    make, files = Maker(), ArrayFiles(tmp_path)
    files.get("1", make)
    if damage == "cut":
        path = tmp_path / "1" / "a.npy"
        path.write_bytes(path.read_bytes()[:-4])
    elif damage == "gone":
        (tmp_path / "1" / "b.npy").unlink()
    elif damage == "list":
        (tmp_path / "1" / mapped.LIST).write_text("{", "utf-8")
    else:
        np.save(tmp_path / "1" / "a.npy", np.zeros(3))
    assert files.get("1", make)["a"].shape == (2, 3)
    assert make.times == 2
    files.get("1", make)
    assert make.times == 2 and sorted(path.name for path in tmp_path.iterdir()) == ["1"]


def test_old_versions_are_removed_and_the_one_before_is_kept(tmp_path: Path) -> None:
    make, files = Maker(), ArrayFiles(tmp_path)
    first = files.get("1", make)
    for at, version in enumerate(("2", "3")):
        os.utime(tmp_path / str(at + 1), ns=(at, at))
        files.get(version, make)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]
    assert first["a"].sum() == 15, "what is mapped stays readable"


def test_where_nothing_can_be_written_arrays_stay_in_memory(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a file", "utf-8")
    make = Maker()
    assert ArrayFiles(tmp_path / "x").get("1", make)["a"].sum() == 15
    assert make.times == 1
