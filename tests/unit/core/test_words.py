"""Numbers with their nouns."""

from reco_platform.core.words import counted


def test_one_is_singular_and_every_other_number_plural() -> None:
    assert [counted(number, "thread") for number in (0, 1, 2, 2000)] == [
        "0 threads", "1 thread", "2 threads", "2,000 threads",
    ]  # fmt: skip
