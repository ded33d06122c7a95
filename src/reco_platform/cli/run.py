"""Verbs that run Snakemake, or print the command that does."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import Any

import click

from reco_platform.cli.project_options import Invocation, on_a_project
from reco_platform.cli.verbs import complete_values, verb
from reco_platform.core import project

FORCE = "force_overwrite=true"


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what every verb of this module takes; options that it does not know go to Snakemake."""
    options = (
        click.option("--cores", metavar="N", help="Cores for Snakemake. Default: all, or what --profile says."),
        click.option("--force-overwrite", is_flag=True,
                     help="Replace what stands at a table's path and was not made by this pipeline."),
        click.argument("others", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE_OPTIONS]...",
                       shell_complete=complete_values),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return on_a_project(function)


def running(name: str, *examples: str) -> click.Command:
    """A verb that runs the target of its name."""

    @verb(name, *examples, ignore_unknown_options=True)
    @run_options
    def run_target(invocation: Invocation, **options: Any) -> None:
        """Options that reco does not know go to Snakemake."""
        execute(command(invocation, name, **options))

    return run_target


def printing(name: str, target: str, *examples: str) -> click.Command:
    """A verb that checks the configuration, and prints the command that makes a target; asked to, it runs it too."""

    @verb(name, *examples, ignore_unknown_options=True)
    @run_options
    @click.option("--run", is_flag=True, help="Run the command; RUN_LOCAL=1 does the same.")
    def print_target(invocation: Invocation, run: bool, **options: Any) -> None:
        """Options that reco does not know go to Snakemake."""
        from reco_platform.config.secrets import redact_word
        from reco_platform.pipeline import workflow

        overrides = invocation.overrides()
        with working_in(invocation.folder):
            (workflow.prepare_sweep if target == workflow.SWEEP else workflow.prepare)(overrides)
        words = command(invocation, target, **options)
        print(shlex.join(map(redact_word, words)), flush=True)
        if run or os.environ.get("RUN_LOCAL") == "1":
            execute(words)
        print("[INFO] only printed; --run or RUN_LOCAL=1 runs it", flush=True)

    return print_target


gold = running("gold", "gold", "gold --cores 2 --config dataset=mine dataset_path=folder/of/csv", "gold -n")
silver = running("silver", "silver", "silver --forcerun silver_movies")
bronze = running("bronze", "bronze", "bronze --config dataset=ml-latest-small")
sweep = printing("sweep", "sweep", "sweep --config rank=10,50", "sweep --run --configfile config/sweeps/small.yaml")
train = printing("train", "gold", "train", "train --run --cores 2 --config rank=20", "train --configfile mine.yaml")
etl = printing("etl", "silver", "etl", "etl --run --cores 2")


def working_in(folder: Path) -> chdir[Path] | nullcontext[None]:
    """Changes to a folder for a while; not to one that the run will make."""
    return chdir(folder) if folder.is_dir() else nullcontext()


def command(
    invocation: Invocation, target: str, *, cores: str | None, force_overwrite: bool, others: Sequence[str]
) -> list[str]:
    """The command line of Snakemake.

    Args:
        invocation: the configuration, and the folder to work in.
        target: of the workflow.
        cores: a number or `all`; None for all, or what a profile says.
        force_overwrite: whether tables that others made may be replaced.
        others: options of Snakemake's own.
    """
    has_profile = any(word.partition("=")[0] == "--profile" for word in others)
    cores = cores or (None if has_profile else "all")
    pairs = [*invocation.pairs, *([FORCE] if force_overwrite else [])]
    return [
        *snakemake(),
        *([] if invocation.is_at_root else project.location(invocation.folder)),
        *(["--cores", cores] if cores else []), target, *others,
        *(["--configfile", *invocation.files] if invocation.files else []),
        *(["--config", *pairs] if pairs else []),
    ]  # fmt: skip


def snakemake() -> list[str]:
    """The program beside this Python, otherwise its module."""
    program = Path(sys.executable).with_name("snakemake")
    return [str(program)] if program.is_file() else [sys.executable, "-m", "snakemake"]


def execute(words: list[str]) -> None:
    """Goes on as Snakemake, so that signals reach it; does not return."""
    sys.stdout.flush()
    os.execv(words[0], words)  # noqa: S606  # a list, no shell
