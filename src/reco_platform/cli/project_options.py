"""The options `--config`, `--configfile` and `--dir`, which every verb that works on a lakehouse takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reco_platform.cli.verbs import complete_keys
from reco_platform.core import config_words, project
from reco_platform.core.errors import ConfigError

if TYPE_CHECKING:
    from reco_platform.pipeline.workflow import Workflow

DATASET_PATH = "dataset_path"


@dataclass(frozen=True)
class Invocation:
    """What `--config`, `--configfile` and `--dir` say.

    Attributes:
        pairs: words KEY=VALUE.
        files: YAML files of keys.
        folder: the folder to work in, absolute.
        typed_in: the folder in which the command was typed, absolute.
    """

    pairs: tuple[str, ...]
    files: tuple[str, ...]
    folder: Path
    typed_in: Path

    @classmethod
    def parse(cls, config: Sequence[str], configfile: Sequence[str], folder: str | None) -> Invocation:
        """The invocation with a data set's path as seen from the folder to work in.

        Raises:
            ConfigError: for a word that `config_words.split_words` refuses.
        """
        config_words.split_words(config)
        typed_in = Path.cwd()
        default = project.ROOT if project.IS_CHECKOUT else typed_in
        found = cls(tuple(config), tuple(configfile), Path(os.path.abspath(folder or default)), typed_in)  # noqa: PTH100
        os.environ.pop(project.WORKING_FOLDER, None)
        if not (project.IS_CHECKOUT and found.is_at_root):
            os.environ[project.WORKING_FOLDER] = "" if found.folder == default else str(found.folder)
        return found._with_dataset_path()

    @property
    def is_at_root(self) -> bool:
        """Whether the command was typed in the folder of the Snakefile, to work there."""
        return self.typed_in == self.folder == project.ROOT

    def _with_dataset_path(self) -> Invocation:
        """The same with a relative `dataset_path` made absolute, unless the command was typed in the folder itself."""
        given = None if self.folder == self.typed_in else self._dataset_path()
        if given is None or Path(given).expanduser().is_absolute():
            return self
        kept = [pair for pair in self.pairs if pair.partition("=")[0] != DATASET_PATH]
        return replace(self, pairs=(*kept, f"{DATASET_PATH}={self.typed_in / given}"))

    def _dataset_path(self) -> str | None:
        for pair in reversed(self.pairs):
            key, _, value = pair.partition("=")
            if key == DATASET_PATH:
                return value
        if not self.files:
            return None
        found = self.overrides().get(DATASET_PATH)
        return None if found is None else str(found)

    def overrides(self) -> dict[str, Any]:
        """The keys and values of `--configfile` and `--config`; the latter win.

        Raises:
            ConfigError: for a word without `=`, or a file that cannot be read.
        """
        from reco_platform.pipeline import workflow

        return workflow.overrides(self.pairs, self.files)

    def prepare(self) -> Workflow:
        """The configuration and data set that were asked for; from here on the process works in the folder.

        Raises:
            RecoError: for anything that is not allowed.
        """
        from reco_platform.pipeline import workflow

        overrides = self.overrides()
        self.enter()
        prepared = workflow.prepare(overrides)
        for text in prepared.notes:
            print(text, file=sys.stderr, flush=True)
        return prepared

    def enter(self) -> None:
        """Changes to the folder to work in.

        Raises:
            ConfigError: if there is no such folder.
        """
        if not self.folder.is_dir():
            raise ConfigError(f"--dir {self.folder}: there is no such folder", project.command("gold") + " makes it")
        os.chdir(self.folder)

    def argument(self, path: str) -> str:
        """A path on the command line as seen from the folder to work in."""
        return path if self.folder == self.typed_in else str(self.typed_in / path)


def on_a_project(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--config`, `--configfile` and `--dir`, which reach the function as an `Invocation`."""

    def run(config: Sequence[str], configfile: Sequence[str], folder: str | None, **rest: Any) -> Any:
        return function(Invocation.parse(config, configfile, folder), **rest)

    run.__doc__ = function.__doc__
    run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]  # as click keeps them
    options = (
        click.option("--config", multiple=True, metavar="KEY=VALUE...", shell_complete=complete_keys,
                     help="Configuration keys; docs/configuration.md lists them."),
        click.option("--configfile", multiple=True, metavar="FILE...", type=click.Path(), help="YAML files of keys."),
        click.option("--dir", "folder", metavar="FOLDER", type=click.Path(file_okay=False),
                     help="Folder to work in, for results/ and .cache/."
                     " Default: the checkout, or the current folder where reco is installed."),
    )  # fmt: skip
    for option in reversed(options):
        option(run)
    return run
