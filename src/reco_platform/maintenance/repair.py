"""For each damage the command that repairs it, as far as one does."""

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
from reco_platform.engine import memo
from reco_platform.engine.task import LAST, memo_folder
from reco_platform.lakehouse import layout, publish
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import RECEIPT, Receipt
from reco_platform.pipeline.steps_table import STEP_OF, STEPS, TABLE_RESULTS, step_making
from reco_platform.pipeline.workflow import Workflow
from reco_platform.store.paths import StorePath
from reco_platform.tuning import sweeps


@dataclass(frozen=True)
class Repairs:
    """Commands that repair one lakehouse, as the configuration names it."""

    workflow: Workflow

    @cached_property
    def given(self) -> dict[str, Any]:
        """What every command has to say of the configuration."""
        return commands.differing(self.workflow.config)

    def run(self, artifact: str) -> str:
        """A plain run, which makes or restores whatever has no receipt that holds."""
        return commands.snakemake(target_of(artifact), self.given_for(artifact))

    def retake(self, artifact: str, path: StorePath) -> str:
        """A run that brings a CSV file anew."""
        remove = "rm" if isinstance(path, Path) else "hdfs dfs -rm"
        return f"{remove} {shlex.quote(str(path))} && {self.run(artifact)}"

    def rebuild(self, artifact: str, table: str = "") -> str:
        """A run that makes an artifact anew where its earlier result is not whole.

        Args:
            artifact: what the step makes.
            table: the damaged table, if that is another than the artifact itself: it may have to be replaced.
        """
        asked, target = self.workflow.config, self.workflow.lakehouse.content(table or artifact)
        may_block = table or artifact in tables()
        blocked = may_block and publish.publish_problem(target, asked.storage_format, asked.dataset) is not None
        rule = (
            "bronze" if artifact.startswith("bronze/") else step_making(artifact, self.workflow.lakehouse.dataset).name
        )
        return commands.snakemake(
            target_of(artifact), self.given_for(artifact), rule=rule, overwrite=bool(blocked)
        )  # fmt: skip

    def given_for(self, artifact: str) -> dict[str, Any]:
        """Of a sweep its axes too, as its leaderboard tells them."""
        if not artifact.startswith(f"{layout.SWEEPS}/"):
            return self.given
        found = (of_sweep(self.workflow.lakehouse, board) for board in boards(self.workflow.lakehouse, artifact))
        return {**self.given, **next((pairs for pairs in found if pairs), {})}


def target_of(artifact: str) -> str:
    layer = artifact.partition("/")[0]
    return {"bronze": "silver", "silver": "silver", layout.SWEEPS: "sweep"}.get(layer, "gold")


def tables() -> set[str]:
    """The artifacts that are tables."""
    return {STEP_OF[name].artifact for name in TABLE_RESULTS}


# --- sweeps


def boards(lakehouse: Lakehouse, artifact: str) -> Iterator[Receipt]:
    """The leaderboards of the sweeps that an artifact is part of."""
    trial = PurePosixPath(artifact).parent.name if artifact.startswith(layout.TRIALS) else None
    for path in sorted((lakehouse.records / layout.SWEEPS).glob(f"*{RECEIPT}")):
        receipt = latest(lakehouse, layout.sweep(path.name.removesuffix(RECEIPT)))
        if receipt is None or receipt.made_from.get("step") != "leaderboard":
            continue
        params = receipt.made_from["params"]
        if trial in dict(params["cells"]) if trial else artifact == layout.SWEEP_DATA or named(params, artifact):
            yield receipt


def named(params: dict[str, Any], artifact: str) -> bool:
    return str(params["sweep"]) == PurePosixPath(artifact).name


def latest(lakehouse: Lakehouse, artifact: str) -> Receipt | None:
    """The receipt of an artifact of a sweep, or, where it is lost, the one that its memo knows of."""
    folder = memo_folder(step_making(artifact, lakehouse.dataset), lakehouse.path, artifact)
    return memo.read_or_none(Path(lakehouse.receipt(artifact))) or memo.read_or_none(folder / f"{LAST}.json")


def of_sweep(lakehouse: Lakehouse, board: Receipt) -> dict[str, Any]:
    """What a command line says to ask for a sweep again; nothing where its trials no longer tell."""
    params = board.made_from["params"]
    trials = {name: latest(lakehouse, layout.trial(name)) for name, _ in params["cells"]}
    known = [(trials[name], most) for name, most in params["cells"]]
    values = [{**one.made_from["params"], "max_iter": most} for one, most in known if one]
    if not values:
        return {}
    usual = Config.model_validate({})
    fixed = {key: params[key] for key in STEPS["leaderboard"].keys if params[key] != plain(getattr(usual, key))}
    fixed |= {key: values[0][key] for key in AXES if values[0][key] not in (None, getattr(usual, key))}
    several = {key: list(dict.fromkeys(one[key] for one in values)) for key in params["axes"]}
    pairs = {**fixed, **several}
    return (
        pairs if sweeps.expand(pairs, os.environ).name == params["sweep"] else {**pairs, "sweep_name": params["sweep"]}
    )


def plain(value: Any) -> Any:
    """A default as receipts have it."""
    return list(value) if isinstance(value, tuple) else value
