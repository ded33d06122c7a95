"""What was asked for: the configuration, the data set, and the receipts that every step reads and writes."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from reco_platform.config.load import load_config, read_keys, source_of
from reco_platform.config.model import Config
from reco_platform.core import project
from reco_platform.core.errors import ConfigError, RecoError
from reco_platform.core.hashing import canonical_json, sha256
from reco_platform.datasets import registry as datasets
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.layout import TABLES, Lakehouse
from reco_platform.lakehouse.receipts import read
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

SWEPT = needed_by(STEPS["sweep_data"].reads)
"""Results of the other layers that a sweep needs."""


@dataclass(frozen=True)
class Workflow:
    """One invocation: what was asked for, and where it goes.

    Attributes:
        config: with one value of each key; of a sweep, that of its first trial.
        sweep: where the target is one.
    """

    config: Config
    lakehouse: Lakehouse
    dataset: datasets.Dataset
    sweep: sweeps.Sweep | None = None

    def params(self, name: str) -> str:
        """The canonical parameters of a step, its code included."""
        return canonical_json(parameters(STEPS[name], self.config))

    @property
    def bronze_params(self) -> str:
        """What decides the bronze files; of a folder, its files are inputs of the rule instead."""
        code = parameters(STEPS["bronze"], self.config)["code"]
        if isinstance(self.dataset, datasets.DirectoryDataset):
            return canonical_json({"code": code, "kind": "directory", "path": str(self.dataset.path)})
        return canonical_json({"code": code, "source": sha256(datasets.source_identity(self.dataset))[:16]})

    @property
    def sources(self) -> list[str]:
        """The user's own CSV files, where the data set is a folder."""
        return [
            str(path) for table in datasets.tables(self.dataset) if (path := datasets.own_csv_file(self.dataset, table))
        ]

    def bronze(self, table: str) -> str:
        return self.lakehouse.receipt(self.lakehouse.bronze(table))

    def receipt(self, name: str) -> str:
        """The receipt of a step's result, by any name under which it is read."""
        return self.lakehouse.receipt(artifact_of(resolve_input(name, self.config), self.lakehouse.dataset))

    def latest(self, name: str) -> str:
        """Where a copy of the latest file of a kind lies, for Snakemake's own report."""
        return str(self.lakehouse.records / layout.latest(name))

    @property
    def gold(self) -> tuple[str, ...]:
        """The results that gold consists of, as configured."""
        return tuple(name for name in GOLD if STEP_OF[name].is_enabled(self.config))

    @property
    def silver_receipts(self) -> list[str]:
        return [self.receipt(name) for name in SILVER]

    @property
    def gold_receipts(self) -> list[str]:
        return [self.receipt(name) for name in self.gold]

    @property
    def of_sweep(self) -> SweepFlow:
        """What the rules of the sweep ask."""
        assert self.sweep is not None  # noqa: S101  # they are not there otherwise
        return SweepFlow(self.sweep, self.lakehouse)

    @property
    def sweep_receipts(self) -> list[str]:
        """What the target of a sweep lists: what it reads, and what it makes."""
        before = [*(self.bronze(table) for table in TABLES), *map(self.receipt, SWEPT)]
        return [*before, *self.of_sweep.receipts] if self.sweep else []

    @property
    def all_receipts(self) -> list[str]:
        return [*(self.bronze(table) for table in TABLES), *self.silver_receipts, *self.gold_receipts]


@dataclass(frozen=True)
class SweepFlow:
    """What the rules of a sweep ask."""

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
        """Ratings of the train fold, as far as an earlier run tells."""
        try:
            receipt = read(self.lakehouse.receipt(artifact_of("interactions", self.lakehouse.dataset)))
            return int(receipt.facts["folds"]["train"]["rows"])
        except (RecoError, KeyError):  # none yet, or written by an earlier version
            return None

    def threads(self, cores: int) -> int:
        """Threads of a trial: one, so that trials run side by side, unless there are fewer of them than cores."""
        return max(1, cores // len(self.sweep.fits))

    @property
    def memory_mb(self) -> int:
        """Of a trial: 64 bytes a rating, and what Python takes."""
        return 600 + 64 * (self.ratings or 0) // 1_000_000

    @property
    def plan(self) -> str:
        """Size and estimated cost in words."""
        done = [name for name in self.sweep.fits if Path(self.trial(name)).is_file()]
        return sweeps.plan_text(self.sweep, done, self.ratings)


def overrides(pairs: Sequence[str], files: Sequence[str] = ()) -> dict[str, Any]:
    """What `--config` and `--configfile` of the tools say, as keys and values; the former comes first.

    Raises:
        ConfigError: for a word without `=`, or a file that cannot be read.
    """
    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"--config {pair!r}: expected KEY=VALUE", "for example --config rank=20")
    found: dict[str, Any] = {}
    for file in files:
        found |= read_keys(Path(file), "name a YAML file of keys", f"mend {file}: a line for each key")
    return found | dict(pair.split("=", 1) for pair in pairs)


def prepare(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Workflow:
    """The configuration and the data set that were asked for.

    Raises:
        RecoError: for anything in them that is not allowed.
    """
    return resolved_to(load_config(given, environ), source_of("lakehouse", given, environ))


def prepare_sweep(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Workflow:
    """The same where the target is a sweep: hyperparameters may be lists.

    Raises:
        RecoError: for anything in them that is not allowed.
    """
    asked = sweeps.expand(given, environ)
    return resolved_to(asked.base, source_of("lakehouse", given, environ), asked)


def resolved_to(resolved: Config, source: str, sweep: sweeps.Sweep | None = None) -> Workflow:
    """The workflow of a configuration; `source` is where its lakehouse comes from, for the message."""
    dataset = datasets.resolve(datasets.load_registry(REGISTRY), resolved.dataset, resolved.dataset_path)
    datasets.tables(dataset)
    if not is_remote(resolved.root):
        refuse_file(Path(resolved.root), source)
    return Workflow(resolved, Lakehouse(resolved.root, resolved.dataset), dataset, sweep)


def refuse_file(root: Path, source: str) -> None:
    """Checks that a folder is there or can be made.

    Raises:
        ConfigError: it, or something above it, is a file.
    """
    there = next((path for path in (root, *root.parents) if path.exists()), root)
    if there.exists() and not there.is_dir():
        raise ConfigError(f"lakehouse={root} (from {source}): {there} is no folder", "name a folder")


def prepare_or_exit(given: Mapping[str, Any], argv: Sequence[str] = ()) -> Workflow:
    """What a command line of Snakemake asks for; a mistake ends the process with a message and no stack trace."""
    try:
        if SWEEP not in argv:
            return prepare(given)
        if "gold" in argv:
            raise ConfigError(
                "sweep and gold are two runs: gold takes what the sweep has chosen", "ask for sweep first"
            )
        return prepare_sweep(given)
    except RecoError as error:
        leave(error)


def leave(error: RecoError) -> NoReturn:
    """Ends Snakemake's main process with a message; raised through Snakemake, an error would come with its trace."""
    print(f"[ERROR] {error}", file=sys.stderr, flush=True)
    atexit._run_exitfuncs()  # removes the folders for temporary files that Snakemake has made
    os._exit(error.exit_code)
