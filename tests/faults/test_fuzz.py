"""A short campaign of the fuzzer, and that its comparison can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.fuzzing import FuzzedFile, campaign
from support import oracle
from support.builders import quiet


def test_hostile_files_are_cleaned_as_the_oracle_says(tmp_path: Path) -> None:
    said: list[str] = []
    done = campaign(9, range(300), said.append, keep=tmp_path)
    assert (said, done.different) == ([], ())
    assert done.files == 300
    assert min(done.rows, done.rejected, done.refused, done.stopped) > 30, f"the stream is not hostile: {done}"


@pytest.mark.parametrize("rule", ["whole", "blank", "header"])
def test_another_rule_is_found_with_a_file_that_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    others = {
        "whole": lambda text, bits: int(text) if text.strip().isdecimal() else None,
        "blank": lambda text: not text.strip(),
        "header": lambda line: line.split(","),
    }
    monkeypatch.setattr(oracle, rule, others[rule])
    found = campaign(9, range(150), quiet, keep=tmp_path).different
    assert found
    for one in found:
        assert one.path.read_bytes() == FuzzedFile.of(one.seed, one.number).content
        assert one.what
