"""The command `reco`. A verb's module is imported only where the verb is used, so that the help is quick."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from reco_platform import __version__
from reco_platform.cli.verbs import EXIT_CODES, VERBS
from reco_platform.core import terminal
from reco_platform.core.errors import ConfigError, report_errors

PROGRAM = "reco"
STOPPED = 130
"""The exit code after Ctrl-C, as shells have it."""


class Verbs(click.Group):
    """The group of all verbs, by sections."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(f"reco_platform.cli.{VERBS[cmd_name].module}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101  # for mypy: VERBS names commands only
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not ctx.resilient_parsing and not name.startswith("-"):
            near = difflib.get_close_matches(name, VERBS, n=1, cutoff=0.5)
            raise click.UsageError(f"there is no command {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(entry.section for entry in VERBS.values()):
            with formatter.section(section):
                formatter.write_dl([(name, one.summary) for name, one in VERBS.items() if one.section == section])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"\nreco COMMAND --help has options and examples.\n\n{EXIT_CODES}\n")


@click.group(
    cls=Verbs, context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]}, no_args_is_help=False
)
@click.version_option(__version__, prog_name=PROGRAM)
def reco() -> None:
    """A reproducible recommendation pipeline: MovieLens CSV to silver tables, an ALS model and top-N lists."""


@report_errors
def run(words: Sequence[str]) -> int:
    """Runs a command line; gives its exit code.

    Raises:
        RecoError: for anything that the user can correct.
    """
    try:
        code = reco.main(list(words), PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        raise ConfigError(error.format_message().rstrip("."), f"{command} --help") from error
    except click.Abort:
        return STOPPED
    return code if isinstance(code, int) else 0


def main() -> int:
    terminal.prepare()
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
