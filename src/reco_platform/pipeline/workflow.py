"""One invocation: its configuration, its data set, and the receipts that each step reads and writes."""

from __future__ import annotations

import atexit
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from reco_platform.config import commands
from reco_platform.config.load import load_config, read_keys, source_of
from reco_platform.config.model import Config
from reco_platform.config.patterns import NOT_IN_FOLDERS
from reco_platform.core import config_words, project
from reco_platform.core.errors import ConfigError, RecoError
from reco_platform.core.hashing import canonical_json, sha256
from reco_platform.datasets import registry as datasets
from reco_platform.datasets import source_layout
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.layout import TABLES, Lakehouse
from reco_platform.lakehouse.receipts import read
from reco_platform.pipeline import detected, remembered
from reco_platform.pipeline.steps_table import (
    GOLD,
    SILVER,
    STEP_OF,
    STEPS,
    artifact_of,
    needed_by,
    parameters,
    resolve_input,
)
from reco_platform.store.paths import is_remote
from reco_platform.tuning import sweeps

REGISTRY = project.file("config/datasets.yaml")
SWEEP = "sweep"

SWEEP_INPUTS = needed_by(STEPS["sweep_data"].reads)
"""Results of other layers that a sweep needs."""


@dataclass(frozen=True)
class Origin:
    """Config keys of the data of a lakehouse that were not given.

    Attributes:
        recalled: what the lakehouse remembers from an earlier run.
        found: what was found in the files.
        not_given: what was found in the files, by this run or by the one that is remembered.
    """

    recalled: Mapping[str, Any] = field(default_factory=dict)
    found: Mapping[str, Any] = field(default_factory=dict)
    not_given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        return {**self.recalled, **self.found}


@dataclass(frozen=True)
class Workflow:
    """One invocation.

    Attributes:
        config: the configuration; for a sweep, that of its first trial.
        lakehouse: the lakehouse to work on.
        dataset: the data set.
        sweep: the sweep; None for any other target.
        origin: config keys of the data that were not given.
    """

    config: Config
    lakehouse: Lakehouse
    dataset: datasets.Dataset
    sweep: sweeps.Sweep | None = None
    origin: Origin = Origin()

    def params(self, name: str) -> str:
        """The canonical parameters of a step, its code included."""
        return canonical_json(parameters(STEPS[name], self.config))

    @property
    def bronze_params(self) -> str:
        """The parameters of the bronze step; for a folder, its files are inputs of the rule instead."""
        code = parameters(STEPS["bronze"], self.config)["code"]
        if isinstance(self.dataset, datasets.DirectoryDataset):
            own = {} if self.dataset.layout.is_movielens else {"layout": self.dataset.layout.identity()}
            return canonical_json({"code": code, "kind": "directory", "path": str(self.dataset.path), **own})
        return canonical_json({"code": code, "source": sha256(datasets.source_identity(self.dataset))[:16]})

    @property
    def sources(self) -> list[str]:
        """The user's own files, if the data set is a folder."""
        files = (path for table in datasets.tables(self.dataset) for path in datasets.own_files(self.dataset, table))
        return list(dict.fromkeys(map(str, files)))

    @property
    def source_layout(self) -> str:
        """The config values of the layout, as the bronze step takes them."""
        return source_layout.given_values(self.config.model_dump())

    @property
    def memory(self) -> remembered.Memory:
        """What the lakehouse is to remember of its data."""
        return remembered.memory_of(self.config, self.origin.not_given)

    @property
    def notes(self) -> list[str]:
        """What people should know of values that they did not give."""
        said = (
            remembered.note(self.config, self.origin.recalled),
            detected.note(self.config.dataset_path, self.origin.found),
        )
        return [text for text in said if text]

    def bronze(self, table: str) -> str:
        return self.lakehouse.receipt(self.lakehouse.bronze(table))

    @property
    def bronze_receipts(self) -> list[str]:
        """The receipts of the CSV files, and of the ids that they use where ids are texts."""
        return [self.bronze(name) for name in (*TABLES, *datasets.dictionaries(self.dataset))]

    def optional(self, name: str) -> list[str]:
        """The receipt of a result that not every configuration has; none if this one does not."""
        return [self.receipt(name)] if STEP_OF[name].is_enabled(self.config) else []

    def receipt(self, name: str) -> str:
        """The receipt of a step's result, by any name under which it is read."""
        return self.lakehouse.receipt(artifact_of(resolve_input(name, self.config), self.lakehouse.dataset))

    def latest(self, name: str) -> str:
        """Path of the copy of a latest result, for Snakemake's own report."""
        return str(self.lakehouse.records / layout.latest(name))

    @property
    def silver(self) -> tuple[str, ...]:
        """The results that silver consists of, as configured."""
        return tuple(name for name in SILVER if STEP_OF[name].is_enabled(self.config))

    @property
    def gold(self) -> tuple[str, ...]:
        """The results that gold consists of, as configured."""
        return tuple(name for name in GOLD if STEP_OF[name].is_enabled(self.config))

    @property
    def silver_receipts(self) -> list[str]:
        return [self.receipt(name) for name in self.silver]

    @property
    def gold_receipts(self) -> list[str]:
        return [self.receipt(name) for name in self.gold]

    @property
    def sweep_workflow(self) -> SweepWorkflow:
        """Receipts and parameters for the rules of the sweep."""
        assert self.sweep is not None  # noqa: S101  # the rules are included only for a sweep
        return SweepWorkflow(self.sweep, self.lakehouse)

    @property
    def sweep_receipts(self) -> list[str]:
        """The inputs of the sweep target: the results that a sweep needs, and its own."""
        needed = [*self.bronze_receipts, *map(self.receipt, SWEEP_INPUTS)]
        return [*needed, *self.sweep_workflow.receipts] if self.sweep else []

    @property
    def all_receipts(self) -> list[str]:
        return [*self.bronze_receipts, *self.silver_receipts, *self.gold_receipts]


@dataclass(frozen=True)
class SweepWorkflow:
    """Receipts and parameters for the rules of a sweep."""

    sweep: sweeps.Sweep
    lakehouse: Lakehouse

    @property
    def receipts(self) -> list[str]:
        logged = [self.tracking] if self.sweep.base.tracking else []
        return [self.lakehouse.receipt(layout.SWEEP_DATA), *self.trials, self.leaderboard, *logged]

    @property
    def trials(self) -> list[str]:
        return [self.trial(name) for name in self.sweep.fits]

    def trial(self, name: str) -> str:
        """The receipt of a fit; `{trial}` for a pattern of all."""
        return self.lakehouse.receipt(layout.trial(name))

    @property
    def leaderboard(self) -> str:
        return self.lakehouse.receipt(layout.sweep(self.sweep.name))

    @property
    def tracking(self) -> str:
        return self.lakehouse.receipt(layout.sweep_tracking(self.sweep.name))

    @cached_property
    def trial_code(self) -> str:
        return str(parameters(STEPS["trial"], self.sweep.base)["code"])

    def trial_params(self, name: str) -> str:
        return canonical_json({**self.sweep.fits[name].params, "code": self.trial_code})

    @property
    def leaderboard_params(self) -> str:
        own = {"sweep": self.sweep.name, "axes": list(self.sweep.axes), "cells": self.sweep.trials}
        return canonical_json({**parameters(STEPS["leaderboard"], self.sweep.base), **own})

    @property
    def ratings(self) -> int | None:
        """Number of ratings in the train fold; None before the first run."""
        try:
            receipt = read(self.lakehouse.receipt(artifact_of("interactions", self.lakehouse.dataset)))
            return int(receipt.facts["folds"]["train"]["rows"])
        except (RecoError, KeyError):  # no receipt yet, or one of an earlier version
            return None

    def threads(self, cores: int) -> int:
        """Threads per trial: one, so that trials run in parallel, unless there are fewer trials than cores."""
        return max(1, cores // len(self.sweep.fits))

    @property
    def memory_mb(self) -> int:
        """Memory of a trial, in MB: 600 MB for Python and its libraries, 64 bytes per rating, 40 per pair of items."""
        items = max(fit.params.get("max_items", 0) for fit in self.sweep.fits.values())
        return 600 + (64 * (self.ratings or 0) + 40 * items**2) // 1_000_000

    @property
    def plan(self) -> str:
        """Size and estimated cost of the sweep, as text."""
        done = [name for name in self.sweep.fits if Path(self.trial(name)).is_file()]
        return sweeps.plan_text(self.sweep, done, self.ratings)


def overrides(pairs: Sequence[str], files: Sequence[str] = ()) -> dict[str, Any]:
    """Keys and values from `--config` and `--configfile`, as typed; the former takes precedence.

    Raises:
        ConfigError: for a word that `split_words` refuses, or a file that cannot be read.
    """
    found: dict[str, Any] = {}
    for file in files:
        found |= read_keys(Path(file), "name a YAML file of config keys", f"correct {file}: one line per key")
    return found | config_words.split_words(pairs)


def given_or_exit(settings: Any) -> dict[str, Any]:
    """The keys and values of a Snakemake command line as they were typed; a user error ends the process.

    Snakemake's own `config` is not used: it reads each value as a number, as true or false, or as YAML, so that
    dataset=77_0193 would become 770193, and a folder would end before ` #`.

    Args:
        settings: Snakemake's `workflow.config_settings`.
    """
    try:
        return overrides(settings.config_args or (), [str(file) for file in settings.configfiles])
    except RecoError as error:
        exit_with_error(error)


def prepare(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ, target: str = "gold") -> Workflow:
    """Validates the configuration and the data set of an invocation; what its lakehouse remembers need not be given.

    Args:
        given: values by key, from --config and --configfile.
        environ: environment variables.
        target: of the run, for the command in error messages.

    Raises:
        RecoError: for an invalid configuration or data set.
    """
    config = load_config(given, environ)
    remembered.require_name(config, given, environ, target)
    origin = origin_of(config, given)
    resolved = load_config({**given, **origin.values}, environ) if origin.values else config
    return workflow_for(resolved, source_of("lakehouse", given, environ), origin=origin)


def prepare_sweep(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Workflow:
    """As `prepare`, for a sweep: hyperparameters may be lists.

    Raises:
        RecoError: for an invalid configuration or data set.
    """
    expanded = sweeps.expand(given, environ)
    remembered.require_name(expanded.base, given, environ, SWEEP)
    origin = origin_of(expanded.base, given)
    if origin.values:
        expanded = sweeps.expand({**given, **origin.values}, environ)
    return workflow_for(expanded.base, source_of("lakehouse", given, environ), expanded, origin)


def origin_of(config: Config, given: Mapping[str, Any]) -> Origin:
    """What the lakehouse remembers of its data, and what is found in the files themselves.

    Args:
        config: the configuration as given; of a sweep, that of its first trial.
        given: its values by key.
    """
    memory = remembered.recall(config)
    recalled = memory.recalled(given)
    if recalled:
        config = config.model_copy(update={remembered.PATH: recalled.get(remembered.PATH, config.dataset_path)})
    found = detected.layout_keys(config, given, memory)
    kept = {key: value for key, value in memory.found.items() if key in recalled}
    return Origin(recalled, found, {**kept, **found})


def workflow_for(
    resolved: Config, source: str, sweep: sweeps.Sweep | None = None, origin: Origin | None = None
) -> Workflow:
    """The workflow of a configuration; `source` names where `lakehouse` was set, for the error message."""
    values = resolved.model_dump()
    source_layout.refuse_contradictions(values)
    layout_of_files = source_layout.from_values(values)
    dataset = datasets.resolve(
        datasets.load_registry(REGISTRY), resolved.dataset, resolved.dataset_path, layout_of_files
    )
    datasets.tables(dataset)
    if not is_remote(resolved.root):
        require_folder(Path(resolved.root), source)
        require_addressable(Path(resolved.root))
    return Workflow(resolved, Lakehouse(resolved.root, resolved.dataset), dataset, sweep, origin or Origin())


def require_folder(root: Path, source: str) -> None:
    """Checks that a folder exists or can be created.

    Raises:
        ConfigError: if the path or one of its parents is a file.
    """
    existing = next((path for path in (root, *root.parents) if path.exists()), root)
    if existing.exists() and not existing.is_dir():
        raise ConfigError(f"lakehouse={root} (from {source}): {existing} is not a folder", "set lakehouse to a folder")


def require_addressable(root: Path) -> None:
    """Checks the whole path of a lakehouse, of which the configuration has only the last part.

    Raises:
        ConfigError: it has a character that is not allowed in `lakehouse` either: delta-rs and Snakemake misread it.
    """
    for path in (root.absolute(), root.resolve()):
        found = re.search(NOT_IN_FOLDERS, str(path))
        if found:
            holder = next(one for one in (*reversed(path.parents), path) if found[0] in one.name)
            raise ConfigError(
                f"the lakehouse {str(path)!r} is not allowed: {str(holder)!r} has {found[0]!r} in its name, "
                "which delta-rs or Snakemake would misread",
                "rename that folder, or set lakehouse to a folder elsewhere: --config lakehouse=/any/folder",
            )


def prepare_or_exit(given: Mapping[str, Any], argv: Sequence[str] = ()) -> Workflow:
    """The workflow of a Snakemake command line; a user error ends the process with a message, without stack trace."""
    try:
        if SWEEP not in argv:
            return prepare(given, target=next((word for word in argv if word in commands.TARGETS), "gold"))
        if "gold" in argv:
            raise ConfigError(
                "sweep and gold are separate runs: gold uses the parameters that the sweep has chosen",
                "run sweep first",
            )
        return prepare_sweep(given)
    except RecoError as error:
        exit_with_error(error)


def exit_with_error(error: RecoError) -> NoReturn:
    """Ends Snakemake's main process with a message; Snakemake would print a raised error with a stack trace."""
    print(f"[ERROR] {error}", file=sys.stderr, flush=True)
    atexit._run_exitfuncs()  # removes Snakemake's temporary folders
    os._exit(error.exit_code)
