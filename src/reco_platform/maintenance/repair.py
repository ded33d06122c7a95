"""The commands that repair a damaged lakehouse, for the messages of `validate`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from reco_platform.config import commands
from reco_platform.config.model import AXES, Config
from reco_platform.core import project
from reco_platform.engine import memo
from reco_platform.engine.task import LAST, memo_folder
from reco_platform.lakehouse import layout, publish
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import RECEIPT, Receipt
from reco_platform.pipeline.steps_table import STEP_OF, STEPS, TABLE_RESULTS, step_making
from reco_platform.pipeline.workflow import Workflow
from reco_platform.store.paths import StorePath
from reco_platform.tuning import sweeps
from reco_platform.tuning.fits import fit_of, trial_model
from reco_platform.tuning.tuned_model import TunedModel, tuned_model

TARGETS = {"bronze": "silver", "silver": "silver", layout.SWEEPS: "sweep"}
"""The target that makes the results of a layer; gold for the others."""


@dataclass(frozen=True)
class RepairCommands:
    """Commands that repair one lakehouse with its present configuration."""

    workflow: Workflow

    @cached_property
    def config_pairs(self) -> dict[str, Any]:
        """The configuration that every command must repeat."""
        return commands.non_default_values(self.workflow.config)

    def run(self, artifact: str) -> str:
        """A normal run, which makes or restores results without a valid receipt."""
        return commands.snakemake(target_of(artifact), self.config_for(artifact))

    def fetch_again(self, artifact: str, path: StorePath) -> str:
        """Removes a CSV file of bronze, and runs to fetch it again."""
        remove = "rm" if isinstance(path, Path) else "hdfs dfs -rm"
        return f"{remove} {shlex.quote(project.as_typed_path(path))} && {self.run(artifact)}"

    def rebuild(self, artifact: str, table: str = "") -> str:
        """A run that is forced to make an artifact again.

        Args:
            artifact: the result of the step.
            table: the damaged table if it is not the artifact itself; it may have to be replaced.
        """
        config, target = self.workflow.config, self.workflow.lakehouse.content(table or artifact)
        is_table = table or artifact in {STEP_OF[name].artifact for name in TABLE_RESULTS}
        blocked = is_table and publish.publish_problem(target, config.storage_format, config.dataset) is not None
        rule = (
            "bronze" if artifact.startswith("bronze/") else step_making(artifact, self.workflow.lakehouse.dataset).name
        )
        return commands.snakemake(
            target_of(artifact), self.config_for(artifact), rule=rule, overwrite=bool(blocked)
        )  # fmt: skip

    def config_for(self, artifact: str) -> dict[str, Any]:
        """The configuration for an artifact; for sweeps with the axes, which their leaderboards record."""
        if not artifact.startswith(f"{layout.SWEEPS}/"):
            return self.config_pairs
        lakehouse = self.workflow.lakehouse
        configs = (sweep_config(lakehouse, leaderboard) for leaderboard in leaderboards_of(lakehouse, artifact))
        return {**self.config_pairs, **next((config for config in configs if config), {})}


def target_of(artifact: str) -> str:
    return TARGETS.get(artifact.partition("/")[0], "gold")


# --- sweeps


def leaderboards_of(lakehouse: Lakehouse, artifact: str) -> Iterator[Receipt]:
    """The leaderboards of all sweeps that an artifact is part of."""
    trial = PurePosixPath(artifact).parent.name if artifact.startswith(layout.TRIALS) else None
    for path in sorted((lakehouse.records / layout.SWEEPS).glob(f"*{RECEIPT}")):
        receipt = latest_receipt(lakehouse, layout.sweep(path.name.removesuffix(RECEIPT)))
        if receipt is None or receipt.made_from.get("step") != "leaderboard":
            continue
        params = receipt.made_from["params"]
        if trial is not None:
            is_part = trial in dict(params["cells"])
        else:
            is_part = artifact == layout.SWEEP_DATA or str(params["sweep"]) == PurePosixPath(artifact).name
        if is_part:
            yield receipt


def latest_receipt(lakehouse: Lakehouse, artifact: str) -> Receipt | None:
    """The receipt of an artifact of a sweep, or the latest one in its memo if the receipt is lost."""
    folder = memo_folder(step_making(artifact, lakehouse.dataset), lakehouse.path, artifact)
    return memo.read_or_none(Path(lakehouse.receipt(artifact))) or memo.read_or_none(folder / f"{LAST}.json")


def sweep_config(lakehouse: Lakehouse, leaderboard: Receipt) -> dict[str, Any]:
    """The configuration that runs a sweep again; empty if no receipt of its trials is left."""
    params = leaderboard.made_from["params"]
    receipts = {name: latest_receipt(lakehouse, layout.trial(name)) for name, _ in params["cells"]}
    tuned = tuned_model(params["axes"])
    trials = [
        trial_values(receipt, iterations, tuned) for name, iterations in params["cells"] if (receipt := receipts[name])
    ]
    if not trials:
        return {}
    defaults = Config.model_validate({"sweep_metric": tuned.default_metric})
    fixed = {key: params[key] for key in STEPS["leaderboard"].keys if params[key] != as_json(getattr(defaults, key))}
    first = {key: value for trial in reversed(trials) for key, value in trial.items() if key in AXES}
    fixed |= {key: value for key, value in first.items() if value not in (None, getattr(defaults, key))}
    axes = {key: list(dict.fromkeys(trial[key] for trial in trials if key in trial)) for key in params["axes"]}
    pairs = {**fixed, **axes}
    if sweeps.expand(pairs, os.environ).name == params["sweep"]:
        return pairs
    return {**pairs, "sweep_name": params["sweep"]}


def trial_values(receipt: Receipt, iterations: int, tuned: TunedModel) -> dict[str, Any]:
    """The parameters of a trial, without those that do not shape its model."""
    params = fit_of(receipt.made_from["params"]).params
    key = trial_model(params).iteration_key
    return tuned.own_params(params) | ({key: iterations} if key else {})


def as_json(value: Any) -> Any:
    """A default value as it is in receipts."""
    return list(value) if isinstance(value, tuple) else value
