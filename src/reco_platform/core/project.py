"""Find the project's own files, and build the commands that messages show to users.

A run needs files besides Python modules: the Snakefile, rules, scripts, defaults. In a source checkout they are next to
`src`; in an installed package they are in its folder `_project`. Every module finds them here, whatever the working
directory. Results (`results/`) and caches (`.cache/`) are relative to the folder that a run works in.
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package `reco_platform`."""

IS_CHECKOUT = PACKAGE.parent.name == "src" and (PACKAGE.parents[1] / "Snakefile").is_file()
"""Whether the package is part of a source checkout, and not installed."""

ROOT = PACKAGE.parents[1] if IS_CHECKOUT else PACKAGE / "_project"
"""The folder of the Snakefile and of everything that is named relative to it."""

WORKING_FOLDER = "RECO_DIR"
"""Environment variable set by `reco`: the folder that it works in, where commands for people must name it; empty where
they need not. Not set where people type `snakemake` in the checkout."""


def file(name: str) -> Path:
    """The absolute path of one of the project's files.

    Args:
        name: its path in a checkout, as `config/config.yaml` or `src/reco_platform/reports/templates/x.j2`.
    """
    source = "src/"
    return PACKAGE.parent / name.removeprefix(source) if name.startswith(source) else ROOT / name


def shown(path: str | Path) -> str:
    """A path for people: relative to the working directory where it is below it."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def as_typed_path(path: object) -> str:
    """A path or address that people can open where they typed the command: absolute if that was elsewhere."""
    text = str(path)
    return os.path.abspath(text) if os.environ.get(WORKING_FOLDER) and "://" not in text else text  # noqa: PTH100


def restore_command(name: str) -> str:
    """The command that restores one of the project's files."""
    return f"git checkout {name}" if IS_CHECKOUT else "pip install --force-reinstall --no-deps reco-platform"


def setup_command() -> str:
    """The command that installs the packages that a run needs."""
    return "make setup" if IS_CHECKOUT else "pip install reco-platform"


def module_command(module: str) -> str:
    """The command that runs a module of this package with this Python."""
    return f"{shlex.quote(shown(sys.executable))} -m {module}"


def python_path() -> str:
    """The value of PYTHONPATH with which another process imports this package; empty where none is needed.

    A folder of installed packages is left out: on PYTHONPATH it would come before the standard library.
    """
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return "" if PACKAGE.parent in installed else str(PACKAGE.parent)


def command(verb: str, *words: str) -> str:
    """A command of `reco` to be pasted, on the folder that this run works in.

    Args:
        verb: such as `validate`.
        words: options as they are typed; empty ones are left out.
    """
    folder = os.environ.get(WORKING_FOLDER)
    return " ".join(filter(None, ["reco", verb, f"--dir {shlex.quote(folder)}" if folder else "", *words]))


def inspect_command(*words: str) -> str:
    """The command that looks at files; it works on no folder of results."""
    return " ".join(["reco inspect", *words])


def is_typed_as_snakemake() -> bool:
    """Whether people type `snakemake` for a run: in the root of a checkout."""
    return IS_CHECKOUT and WORKING_FOLDER not in os.environ


VERB_OF_TARGET = {"bronze_files": "bronze", "sweep": "sweep --run"}
"""Verbs of `reco` that run a target of the workflow, where they are not its name."""


def run_command(target: str, *words: str) -> str:
    """A command to be pasted that makes a target: of `snakemake` in the root of a checkout, elsewhere of `reco`.

    Args:
        target: such as `gold`.
        words: options as they are typed; empty ones are left out.
    """
    if is_typed_as_snakemake():
        return " ".join(filter(None, ["snakemake --cores 2", shlex.quote(target), *words]))
    return command(VERB_OF_TARGET.get(target, target), *words)


LOCATION = ("--snakefile", "--directory", "--workflow-profile")
"""Options of Snakemake that say where its workflow is and where it works."""


def location(folder: Path) -> list[str]:
    """Options by which Snakemake runs the project's workflow in a folder, from anywhere."""
    values = (file("Snakefile"), folder, file("profiles/default"))
    return [word for option, value in zip(LOCATION, values, strict=True) for word in (option, str(value))]
