"""Errors that the user can correct: what was wrong, where, and the next command to type."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec


class RecoError(Exception):
    """An error that the user can correct; commands print it without a stack trace.

    Args:
        message: what was wrong and where (file, line, key), and what was expected.
        hint: what to do next, if possible a command that can be pasted.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(message if hint is None else f"{message}\n  -> {hint}")


class ConfigError(RecoError):
    """A wrong key or value in the configuration, or a wrong command line."""

    exit_code = 2


class DataError(RecoError):
    """An input that cannot be read, or that does not meet its contract."""


class TableError(RecoError):
    """A table, model or file of the lakehouse that is missing, or differs from its receipt."""


class EnvironmentProblemError(RecoError):
    """A program or package that is missing or unsuitable on this machine, or a resource that ran out."""


Arguments = ParamSpec("Arguments")


def report_errors(main: Callable[Arguments, int | None]) -> Callable[Arguments, int]:
    """Decorates a program's main function: a `RecoError` becomes a message on stderr and an exit code.

    Other errors keep their stack trace.
    """

    @functools.wraps(main)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except RecoError as error:
            print(f"[ERROR] {error}", file=sys.stderr, flush=True)
            return error.exit_code

    return run
