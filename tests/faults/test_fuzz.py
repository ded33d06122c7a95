"""A short fuzzing campaign, and proof that its comparison can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.fuzzing import FuzzedFile, campaign
from support import oracle
from support.builders import quiet


def test_hostile_files_are_cleaned_as_the_oracle_says(tmp_path: Path) -> None:
    lines: list[str] = []
    done = campaign(9, range(300), lines.append, keep=tmp_path)
    assert (lines, done.mismatches) == ([], ())
    assert done.files == 300
    assert min(done.rows, done.rejected, done.refused, done.stopped) > 30, f"the stream is not hostile: {done}"


@pytest.mark.parametrize("rule", ["whole", "blank", "header"])
def test_a_changed_rule_gives_mismatches_with_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    others = {
        "whole": lambda text, bits: int(text) if text.strip().isdecimal() else None,
        "blank": lambda text: not text.strip(),
        "header": lambda line: line.split(","),
    }
    monkeypatch.setattr(oracle, rule, others[rule])
    mismatches = campaign(9, range(150), quiet, keep=tmp_path).mismatches
    assert mismatches
    for mismatch in mismatches:
        assert mismatch.path.read_bytes() == FuzzedFile.generate(mismatch.seed, mismatch.number).content
        assert mismatch.description
