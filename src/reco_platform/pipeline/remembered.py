"""What a lakehouse was made from: a small file in it, so that later commands need only `dataset=NAME`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reco_platform.config import commands
from reco_platform.config.load import environment_and_defaults
from reco_platform.config.model import Config
from reco_platform.core import project
from reco_platform.core.errors import ConfigError
from reco_platform.datasets.inspection.names import dataset_name as name_of
from reco_platform.datasets.source_layout import LAYOUT_KEYS
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.store.atomic_write import write_text

DATASET, PATH = "dataset", "dataset_path"
KEYS = (PATH, "layout", *LAYOUT_KEYS, "max_reject_share")
"""The keys that are remembered: where the files of a data set are, how they are read, and which rows are accepted."""

FORMATS = ("delta", "parquet")


@dataclass(frozen=True)
class Memory:
    """What a lakehouse was made from.

    Attributes:
        keys: values of KEYS that were given.
        found: values of the layout that were found in the files.
    """

    keys: Mapping[str, Any] = field(default_factory=dict)
    found: Mapping[str, Any] = field(default_factory=dict)

    def is_of(self, folder: str) -> bool:
        """Whether it is of the files in a folder."""
        known = self.keys.get(PATH)
        return known is not None and absolute(known) == absolute(folder)

    def recalled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values that go on; one that is given anew goes before, and what was found in other files is forgotten."""
        same = PATH not in given or given[PATH] is None or self.is_of(str(given[PATH]))
        values = {**(self.found if same else {}), **self.keys}
        return {key: value for key, value in values.items() if key in KEYS and key not in given}


def absolute(folder: str) -> str:
    return os.path.abspath(Path(folder).expanduser())  # noqa: PTH100  # links stay as they are


def recall(config: Config) -> Memory:
    """What the lakehouse of a configuration remembers, or another lakehouse of the same data set.

    Raises:
        ConfigError: the file in the lakehouse is damaged.
    """
    return next((found for lakehouse in places(config) if (found := read(lakehouse)).keys), Memory())


def places(config: Config) -> list[Lakehouse]:
    """The lakehouses that may remember a data set: the configured one, then those at its usual places."""
    usual = [config.model_copy(update={"lakehouse": None, "storage_format": name}).root for name in FORMATS]
    return [Lakehouse(root, config.dataset) for root in dict.fromkeys((config.root, *usual))]


def path_of(lakehouse: Lakehouse) -> Path:
    return lakehouse.records / layout.MADE_FROM


def read(lakehouse: Lakehouse) -> Memory:
    """What a lakehouse was made from; nothing if it is not recorded, or the lakehouse is of another data set.

    Raises:
        ConfigError: the file is damaged.
    """
    path = path_of(lakehouse)
    if not path.is_file():
        return Memory()
    try:
        saved = json.loads(path.read_text("utf-8"))
        name, found = saved[DATASET], Memory(dict(saved["keys"]), dict(saved["found"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{project.shown(path)} is damaged: it should say what the lakehouse was made from",
            f"remove it, and give the keys anew, at least dataset={lakehouse.dataset} dataset_path=FOLDER",
        ) from error
    return found if name == lakehouse.dataset else Memory()


def write(lakehouse: Lakehouse, memory: Memory) -> None:
    """Records what a lakehouse is made from; nothing if that is an entry of the registry."""
    if not memory.keys:
        path_of(lakehouse).unlink(missing_ok=True)
    elif memory != read(lakehouse):
        saved = {DATASET: lakehouse.dataset, "keys": memory.keys, "found": memory.found}
        write_text(path_of(lakehouse), json.dumps(saved, indent=1, ensure_ascii=False) + "\n")


def memory_of(config: Config, found: Mapping[str, Any]) -> Memory:
    """What is to be remembered of a configuration; `found` are the values that were found in the files."""
    values = {key: value for key, value in keys_of(config).items() if key not in found or key == PATH}
    return Memory(values, dict(found)) if PATH in values else Memory()


def keys_of(config: Config) -> dict[str, Any]:
    """The remembered keys of a configuration that differ from their defaults.

    A relative path stays relative with a relative lakehouse, so that a project can be moved.
    """
    values = {key: value for key, value in commands.non_default_values(config).items() if key in KEYS}
    if PATH in values and Path(config.root).is_absolute():
        values[PATH] = absolute(values[PATH])
    return values


def needed(config: Config) -> dict[str, Any]:
    """The config values that later commands on a lakehouse need: those of this run, except what is remembered."""
    return {key: value for key, value in commands.non_default_values(config).items() if key not in KEYS}


def note(config: Config, recalled: Mapping[str, Any]) -> str:
    """The sentence that says what is remembered; empty if nothing is."""
    pairs = commands.options(recalled).removeprefix("--config ")
    if not pairs:
        return ""
    return f"[INFO] dataset={config.dataset} goes on with {pairs}, as remembered; a key given anew replaces it"


def require_name(config: Config, given: Mapping[str, Any], environ: Mapping[str, str], target: str) -> None:
    """Checks that a folder of a user's own has a name of its own, so that it overwrites no other data set.

    Raises:
        ConfigError: dataset_path is given without dataset; the hint is the command that was meant.
    """
    default = Config.model_fields[DATASET].default
    if config.dataset_path is None or DATASET in given or environment_and_defaults(environ)[DATASET][0] != default:
        return
    named = {DATASET: name_of(Path(config.dataset_path)), **given}
    raise ConfigError(
        f"dataset_path={config.dataset_path} is given without dataset: the data set needs a name, which names its "
        f"lakehouse; without one it would take the place of {default}",
        commands.snakemake(target, named),
    )
