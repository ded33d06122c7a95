"""The layout of a user's files, found out at the first run, where no key of the configuration says it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reco_platform.config import commands
from reco_platform.config.model import Config
from reco_platform.core import project
from reco_platform.core.errors import ConfigError, DataError
from reco_platform.datasets import csv_reader
from reco_platform.pipeline.remembered import KEYS, PATH, Memory

if TYPE_CHECKING:
    from reco_platform.datasets.inspection.detect import Inspection

DIFFERENCES = {"rating_scale", "time_unit", "id_type", "items_file"}
MOVIELENS = ("userId", "movieId", "rating", "timestamp")


def layout_keys(config: Config, given: Mapping[str, Any], memory: Memory) -> dict[str, Any]:
    """The keys of the layout that were found out; empty where keys are given, or the files are MovieLens's.

    Args:
        config: the configuration as given and remembered.
        given: its values by key, from --config and --configfile.
        memory: what the lakehouse remembers.

    Raises:
        ConfigError: the layout is not sure, or no file has users and items.
    """
    if config.dataset_path is None or (given.keys() | memory.keys.keys()) & {*KEYS} - {PATH}:
        return {}
    folder = Path(config.dataset_path).expanduser()
    if memory.is_of(config.dataset_path) or not folder.is_dir():
        return {}
    from reco_platform.datasets.inspection.detect import inspect  # noqa: PLC0415  # few runs have to look

    is_movielens = has_movielens_header(folder / "ratings.csv")
    try:
        found = inspect(folder)
    except DataError as error:
        if is_movielens or not any(path.is_file() for path in folder.iterdir()):
            return {}  # the steps say what is wrong
        raise ConfigError(error.message, error.hint) from error
    if is_movielens:
        return differences(folder, found)
    if found.is_sure:
        return found.layout_keys
    raise not_sure(folder, found)


def differences(folder: Path, found: Inspection) -> dict[str, Any]:
    """How files with MovieLens's columns differ from MovieLens's: in scale, unit of time, ids, or without titles."""
    keys = found.layout_keys if found.is_sure else {}
    if not keys.keys() <= DIFFERENCES or ("items_file" in keys and (folder / "movies.csv").exists()):
        return {}
    return keys


def has_movielens_header(path: Path) -> bool:
    """Whether a file begins with the names of MovieLens's columns."""
    try:
        csv_reader.read_header(path, MOVIELENS)
    except DataError:
        return False
    return True


def not_sure(folder: Path, found: Inspection) -> ConfigError:
    """The error for files whose layout cannot be told for sure: what is open, and the command that goes on."""
    open_questions = [
        f"\n  {one.what}: {one.text}" + (f"; or {', or '.join(one.alternatives)}" if one.alternatives else "")
        for one in found.findings
        if not one.sure
    ]
    command = project.inspect_command(shlex.quote(project.as_typed_path(folder)), "--save mine.yaml")
    run = project.run_command("gold", "--configfile mine.yaml")
    return ConfigError(
        f"dataset_path={folder}: how the files are to be read is not sure:{''.join(open_questions)}",
        f"{command} writes what seems right; look it over, then {run}",
    )


def note(folder: str | None, found: Mapping[str, Any]) -> str:
    """The sentence that says what was found; empty if nothing was."""
    if not found:
        return ""
    return f"[INFO] the files in {folder} are read as if by {commands.options(found)}; `inspect` says why"
