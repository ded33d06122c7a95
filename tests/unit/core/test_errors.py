"""Errors of the user's: a message with the next step on stderr, an exit code, no stack trace."""

from __future__ import annotations

import pytest

from reco_platform.core.errors import (
    ConfigError,
    DataError,
    EnvironmentProblemError,
    RecoError,
    TableError,
    report_errors,
)


def test_the_text_holds_what_is_wrong_and_the_next_step() -> None:
    error = DataError("ratings.csv is empty", "put rows into it")
    assert str(error) == "ratings.csv is empty\n  -> put rows into it"
    assert (error.message, error.hint) == ("ratings.csv is empty", "put rows into it")
    assert str(DataError("ratings.csv is empty")) == "ratings.csv is empty"


@pytest.mark.parametrize(
    ("kind", "code"), [(ConfigError, 2), (DataError, 1), (TableError, 1), (EnvironmentProblemError, 1)]
)
def test_a_users_error_ends_with_its_message_and_code(
    kind: type[RecoError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise kind("what", "hint")

    assert report_errors(fails)() == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "[ERROR] what\n  -> hint\n")


def test_a_programs_own_error_keeps_its_stack_trace() -> None:
    def fails() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        report_errors(fails)()


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (3, 3)])
def test_what_a_main_returns_is_the_exit_code(result: int | None, code: int) -> None:
    assert report_errors(lambda: result)() == code
