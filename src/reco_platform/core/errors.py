"""Errors of the user's, not of the program's: what was wrong, where, and the next command to type."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable


class RecoError(Exception):
    """Something that the user can mend. Printed without a stack trace.

    Args:
        what: what was wrong and where (file, line, key), and what was expected.
        hint: the next thing to do, best as a command that can be pasted.
    """

    exit_code = 1

    def __init__(self, what: str, hint: str | None = None) -> None:
        self.what = what
        self.hint = hint
        super().__init__(what if hint is None else f"{what}\n  -> {hint}")


class ConfigError(RecoError):
    """A wrong key or value in the configuration, or a wrong command line."""

    exit_code = 2


class DataError(RecoError):
    """An input that cannot be read as what it claims to be, or that fails its contract."""


class TableError(RecoError):
    """A table, model or file of the lakehouse that is missing or is not what its receipt says."""


class EnvironmentProblemError(RecoError):
    """A missing or unsuitable program or package on this machine."""


def reported(main: Callable[[], int | None]) -> Callable[[], int]:
    """Turns the errors above into a message on stderr and an exit code; others keep their stack trace."""

    @functools.wraps(main)
    def run() -> int:
        try:
            return main() or 0
        except RecoError as error:
            print(f"[ERROR] {error}", file=sys.stderr, flush=True)
            return error.exit_code

    return run
