from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest

from reco_platform.datasets.id_variants import count_variants


@pytest.mark.parametrize(
    ("texts", "padded", "case", "form"),
    [
        (["a", "b"], 0, 0, 0),
        ([], 0, 0, 0),
        ([" a", "a\t", "a", "a b", "\u00a0c", "d\u200b"], 4, 0, 0),
        (["ABC", "abc", "Abc", "x"], 0, 2, 0),
        (["Zoë", unicodedata.normalize("NFD", "Zoë"), "zoë"], 0, 1, 1),
    ],
)
def test_ids_that_look_alike_are_counted(texts: list[str], padded: int, case: int, form: int) -> None:
    found = count_variants(pa.array(texts, pa.large_string()))
    assert found == {"padded_ids": padded, "case_variants": case, "normal_form_variants": form}
