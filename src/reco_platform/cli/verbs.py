"""The verbs of `reco`.

The table has each verb's module, section and one-line help, so that `reco --help` imports no verb's module. A verb is a
function with the decorator `verb`; with `on_a_project` of project_options it also takes the options that they share.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

EXIT_CODES = """exit codes:
  0  success
  1  failed: the pipeline stopped, a check found something, or nothing was removed
  2  a wrong command, key or value; nothing was done"""

REPEATABLE = ("--config", "--configfile")
"""Options that take several words, as they do for Snakemake."""


@dataclass(frozen=True)
class Entry:
    """A verb in the table.

    Attributes:
        section: heading in the help.
        module: the module below `reco_platform.cli` with a function of the verb's name.
        summary: one line.
    """

    section: str
    module: str
    summary: str


PRINTED = "print the Snakemake command that makes {}; run it with --run"
VERBS = {
    "gold": Entry("Run", "run", "make everything: tables, model, recommendations, metrics, report"),
    "silver": Entry("Run", "run", "make the cleaned tables"),
    "bronze": Entry("Run", "run", "make the CSV files"),
    "sweep": Entry("Run", "run", "print the Snakemake command of a hyperparameter sweep; run it with --run"),
    "train": Entry("Run", "run", PRINTED.format("gold")),
    "etl": Entry("Run", "run", PRINTED.format("silver")),
    "inspect": Entry("Inspect", "inspect", "look at your own files, and print the config that reads them"),
    "status": Entry("Inspect", "checks", "show what the next run of gold would do, and why; changes nothing"),
    "validate": Entry("Inspect", "checks", "check every layer against its receipts, without a JVM"),
    "explain": Entry("Inspect", "checks", "show what a result was made from, and what differs now"),
    "runs": Entry("Inspect", "past_runs", "list the runs of a lakehouse: metrics, what differs, champion"),
    "compare": Entry("Inspect", "past_runs", "compare runs: parameters, data, code, metrics, lists"),
    "reproduce": Entry("Inspect", "checks", "rebuild an earlier run in a scratch folder and compare it"),
    "sql": Entry("Inspect", "query", "run SQL over the tables, by DuckDB; Spark on request"),
    "history": Entry("Inspect", "spark", "show Spark's pages on finished jobs"),
    "recommend": Entry("Ask", "ask", "list the best movies for a user, or for somebody with some ratings"),
    "similar": Entry("Ask", "ask", "list the movies most similar to one"),
    "why": Entry("Ask", "ask", "show which ratings speak for a movie, and how much"),
    "search": Entry("Ask", "ask", "find movies by words of their titles"),
    "promote": Entry("Maintain", "maintain", "make a registered model the champion"),
    "clean": Entry("Maintain", "maintain", "remove what the pipeline made: list it with sizes, ask, remove"),
    "prune": Entry("Maintain", "maintain", "list results beyond the newest retain_versions; --yes removes them"),
    "cluster": Entry("Serve", "spark", "start or stop a Spark cluster on this machine"),
    "airflow": Entry("Serve", "airflow", "run the pipeline on a schedule, with Airflow's pages"),
    "completion": Entry("Other", "completion", "print the completion of this command for a shell"),
    "docs": Entry("Other", "docs", "write a checkout's generated files: defaults, schemas, docs"),
}


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, for programs.")


# --- verbs


class Verb(click.Command):
    """A command whose repeatable options take several words, and whose help ends with examples and exit codes."""

    def __init__(self, *args: Any, examples: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["words"] = list(args)
        names = {name for option in self.params for name in option.opts} & {*REPEATABLE}
        return super().parse_args(ctx, repeated(args, names))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        examples = ["examples:", *(f"  {example}" for example in self.examples)] if self.examples else []
        formatter.write("\n" + "\n".join([*examples, *([""] if examples else []), EXIT_CODES]) + "\n")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        return further_values(ctx, incomplete) or super().shell_complete(ctx, incomplete)


def repeated(words: Sequence[str], names: Collection[str]) -> list[str]:
    """Words with an option before each of its values: `--config a=1 b=2` becomes `--config a=1 --config b=2`.

    A value ends the option only where another option follows, as for Snakemake.
    """
    found: list[str] = []
    option = None
    for at, word in enumerate(words):
        if word == "--":
            return [*found, *words[at:]]
        if word in names:
            option = word
        elif word.startswith("-"):
            option = None
            found.append(word)
        else:
            found += [word] if option is None else [option, word]
    return found


def further_values(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """What may follow earlier values of a repeatable option; empty where the last option is another."""
    option = next((word for word in reversed(ctx.meta.get("words", ())) if word.startswith("-")), None)
    if option not in REPEATABLE or incomplete.startswith("-"):
        return []
    return keys(incomplete) if option == "--config" else [CompletionItem(incomplete, type="file")]


def keys(incomplete: str) -> list[CompletionItem[str]]:
    """The keys of the configuration that begin with some letters, as `--config` takes them."""
    from reco_platform.config.model import Config

    return [CompletionItem(f"{key}=") for key in Config.model_fields if key.startswith(incomplete)]


def complete_keys(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    return keys(incomplete)


def complete_values(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    return further_values(ctx, incomplete)


def verb(name: str, *examples: str, **settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a function the command of a verb.

    Args:
        name: in VERBS.
        examples: command lines for its help, without `reco`.
        settings: click's context settings.
    """
    entry = VERBS[name]

    def command(function: Callable[..., Any]) -> click.Command:
        text = "\n\n".join(filter(None, [f"{entry.summary[0].upper()}{entry.summary[1:]}.", inspect.getdoc(function)]))
        make = click.command(
            name, cls=Verb, help=text, short_help=entry.summary, examples=[f"reco {example}" for example in examples],
            context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"], **settings},
        )  # fmt: skip
        return make(function)

    return command
