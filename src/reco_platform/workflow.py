"""What was asked for: the configuration, the data set, and the receipts that every step reads and writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reco_platform import config, datasets
from reco_platform.digests import canonical, sha256
from reco_platform.errors import ConfigError, RecoError
from reco_platform.layout import TABLES, Lakehouse
from reco_platform.registry import MAKERS, STEPS, parameters, stands_for

REGISTRY = Path("config/datasets.yaml")
SILVER = (*TABLES, "etl_report")
GOLD = (
    "interactions", "model", "als_plain", "als_refit",
    "recommendations", "fallback", "evaluation", "run_metrics", "metrics_table", "report",
)  # fmt: skip


@dataclass(frozen=True)
class Workflow:
    """One invocation: what was asked for, and where it goes."""

    config: config.Config
    house: Lakehouse
    dataset: datasets.Dataset

    def params(self, name: str) -> str:
        """The canonical parameters of a step, its code included."""
        return canonical(parameters(STEPS[name], self.config))

    @property
    def bronze_params(self) -> str:
        """What decides the bronze files; of a folder, its files are inputs of the rule instead."""
        code = parameters(STEPS["bronze"], self.config)["code"]
        if isinstance(self.dataset, datasets.DirectoryDataset):
            return canonical({"code": code, "kind": "directory", "path": str(self.dataset.path)})
        return canonical({"code": code, "source": sha256(datasets.source_identity(self.dataset))[:16]})

    @property
    def sources(self) -> list[str]:
        """The user's own CSV files, where the data set is a folder."""
        return [str(path) for table in datasets.tables(self.dataset) if (path := datasets.source(self.dataset, table))]

    def bronze(self, table: str) -> str:
        return self.house.receipt(self.house.bronze(table))

    def receipt(self, name: str) -> str:
        """The receipt of a step's result, by any name under which it is read."""
        return self.house.receipt(self.house.artifact(stands_for(name, self.config)))

    @property
    def gold(self) -> tuple[str, ...]:
        """The results that gold consists of, as configured."""
        return tuple(name for name in GOLD if MAKERS[name].is_part(self.config))

    @property
    def silver_receipts(self) -> list[str]:
        return [self.receipt(name) for name in SILVER]

    @property
    def gold_receipts(self) -> list[str]:
        return [self.receipt(name) for name in self.gold]

    @property
    def all_receipts(self) -> list[str]:
        return [*(self.bronze(table) for table in TABLES), *self.silver_receipts, *self.gold_receipts]


def overrides(pairs: Sequence[str]) -> dict[str, str]:
    """What `--config` of the tools says, as keys and values.

    Raises:
        ConfigError: for a word without `=`.
    """
    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"--config {pair!r}: expected KEY=VALUE", "for example --config rank=20")
    return dict(pair.split("=", 1) for pair in pairs)


def prepare(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Workflow:
    """The configuration and the data set that were asked for.

    Raises:
        RecoError: for anything in them that is not allowed.
    """
    resolved = config.load(given, environ)
    dataset = datasets.resolve(datasets.load_registry(REGISTRY), resolved.dataset, resolved.dataset_path)
    datasets.tables(dataset)
    if "://" in resolved.root:
        raise ConfigError(f"lakehouse={resolved.root}: remote storage is not supported yet", "name a local folder")
    return Workflow(resolved, Lakehouse(resolved.root, resolved.dataset), dataset)


def prepare_or_exit(given: Mapping[str, Any]) -> Workflow:
    """The same; a mistake of the user's ends the process with a message and no stack trace."""
    try:
        return prepare(given)
    except RecoError as error:
        print(f"[ERROR] {error}", file=sys.stderr, flush=True)
        sys.stderr.flush()
        os._exit(error.exit_code)
