"""What a result was made from, all the way to the bytes of bronze, and what is different now."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reco_platform.config.model import Config
from reco_platform.core import project
from reco_platform.core.errors import ConfigError, TableError
from reco_platform.engine import memo, provenance
from reco_platform.engine.task import identity, memo_folder
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import layout, receipts, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import (
    STEP_OF,
    STEPS,
    SWEEP_STEPS,
    Step,
    artifact_of,
    input_artifacts,
    parameters,
    possible_inputs,
    step_making,
)
from reco_platform.tuning import sweeps

RESULTS = tuple(name for name in STEP_OF if name != "bronze")
"""What can be explained by its name."""


@dataclass(frozen=True)
class Made:
    """One result: its receipt, what differs now from what it was made from, and its inputs."""

    name: str
    receipt: Receipt
    changes: list[str]
    inputs: list[Made]

    def as_json(self) -> dict[str, Any]:
        receipt = self.receipt
        return {
            "name": self.name,
            "artifact": receipt.artifact,
            "path": receipt.path,
            "version": receipt.version,
            "rows": receipt.rows,
            "fingerprint": receipt.fingerprint,
            "step": receipt.made_from.get("step"),
            "code": receipt.made_from.get("code"),
            "params": receipt.made_from.get("params", {}),
            "differs_now": self.changes,
            "inputs": [made.as_json() for made in self.inputs],
        }


def explain(lakehouse: Lakehouse, config: Config, name: str) -> Made:
    """The lineage of a result.

    Args:
        lakehouse: the lakehouse.
        config: what would be asked for now.
        name: under which steps read it, such as `run_metrics` or `ratings`; of sweeps where it lies: `sweeps/data`,
            `sweeps/<name>`, `sweeps/trials/<id>`, `sweeps/_tracking/<name>`.

    Raises:
        ConfigError: if there is no such result.
        TableError: if it has not been made, or is damaged.
    """
    if name in RESULTS:
        return made(lakehouse, config, STEP_OF[name], artifact_of(name, lakehouse.dataset))
    if name.startswith(f"{layout.SWEEPS}/"):
        artifact = layout.trial(name.split("/")[2]) if name.startswith(layout.TRIALS) else name.rstrip("/")
        return made(lakehouse, config, step_making(artifact, lakehouse.dataset), artifact)
    near = difflib.get_close_matches(name, RESULTS, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(
        f"there is no result {name!r}{guess}",
        f"name one of {', '.join(RESULTS)}; of sweeps sweeps/data, sweeps/NAME or sweeps/trials/ID",
    )


def made(lakehouse: Lakehouse, config: Config, step: Step, artifact: str) -> Made:
    receipt = receipts.read(lakehouse.receipt(artifact))
    inputs = {
        name: bronze_file(lakehouse, source)
        if name == "bronze"
        else made(lakehouse, config, step_making(source, lakehouse.dataset), source)
        for name, source in sources(step, receipt, lakehouse, config).items()
    }
    changes = differing(lakehouse, config, step, receipt, {name: one.receipt for name, one in inputs.items()})
    lost = tables.content_problem(lakehouse.path, receipt)
    name = artifact if step.name in SWEEP_STEPS else step.makes
    return Made(name, receipt, changes + ([lost] if lost else []), list(inputs.values()))


def differing(
    lakehouse: Lakehouse, config: Config, step: Step, receipt: Receipt, inputs: Mapping[str, Receipt]
) -> list[str]:
    """What its step, asked now, would find other than it was when it made a result, by name."""
    now = {name: identity(step, one) for name, one in inputs.items()}
    values = present(step, receipt, config)
    code = values.pop("code")
    provenance_file = provenance.provenance_path(Path(lakehouse.receipt(receipt.artifact)))
    return provenance.differences(
        step, receipt.made_from, {"params": values, "code": code, "inputs": now}, provenance_file
    )


def made_otherwise(lakehouse: Lakehouse, config: Config, receipt: Receipt) -> bool:
    """Whether a result of a step was made of other parameters, code or inputs than its step would be asked for now.

    Raises:
        TableError: if an input is missing, so that its maker runs before the step in any case.
    """
    step = STEPS.get(receipt.made_from["step"])
    if step is None:  # an earlier version of the project made it
        return True
    found = sources(step, receipt, lakehouse, config)
    inputs = {name: receipts.read(lakehouse.receipt(source)) for name, source in found.items()}
    return bool(differing(lakehouse, config, step, receipt, inputs))


def sources(step: Step, receipt: Receipt, lakehouse: Lakehouse, config: Config) -> dict[str, str]:
    """The artifact behind each input of a result."""
    if step.reads_trials:
        return {name: layout.trial(name) for name, _ in receipt.made_from["params"]["cells"]}
    if step.name == "track_sweep":
        return {"leaderboard": layout.sweep(Path(receipt.artifact).name)}
    return input_artifacts(step, lakehouse, config)


def present(step: Step, receipt: Receipt, config: Config) -> dict[str, Any]:
    """The parameters that a result would have now; what names a trial or a sweep is as it was."""
    before = receipt.made_from["params"]
    if step.name == "trial":
        config = sweeps.trial_config(config, {key: before[key] for key in STEPS["train_als"].keys})
    return parameters(step, config) | {key: before[key] for key in step.own}


def bronze_file(lakehouse: Lakehouse, artifact: str) -> Made:
    receipt = receipts.read(lakehouse.receipt(artifact))
    lost = tables.content_problem(lakehouse.path, receipt)
    return Made(Path(artifact).name + ".csv", receipt, [lost] if lost else [], [])


def lines(one: Made, depth: int = 0, seen: set[str] | None = None) -> Iterator[str]:
    """The lineage as text; what was shown already is named but not shown again."""
    seen = set() if seen is None else seen
    receipt, margin = one.receipt, "  " * depth
    version = "" if receipt.version is None else f", {receipt.format} version {receipt.version}"
    if one.name in seen:
        yield f"{margin}{one.name}: see above"
        return
    seen.add(one.name)
    if receipt.kind == "absent":
        yield f"{margin}{one.name}: not in this data set"
        return
    yield f"{margin}{one.name}: {receipt.path}{version}, fingerprint {receipt.fingerprint}"
    if "params" in receipt.made_from:
        step, shown = receipt.made_from["step"], receipt.made_from["params"].items()
        params = ", ".join(f"{key}={value}" for key, value in shown if key not in STEPS[step].own) or "no parameters"
        yield f"{margin}  made by {step} ({params}), code {receipt.made_from['code']}"
    yield from (f"{margin}  NOW DIFFERENT: {difference}" for difference in one.changes)
    for made_from in one.inputs:
        yield from lines(made_from, depth + 1, seen)


# --- earlier results


def remembered(lakehouse: Lakehouse, name: str) -> list[Receipt]:
    """Every receipt that the memo of a result holds, the newest first."""
    step = STEP_OF[name]
    folder = memo_folder(step, lakehouse.path, artifact_of(name, lakehouse.dataset))
    found = map(memo.read_or_none, memo.entries(folder))
    return [receipt for receipt in found if receipt]


def run_receipt(lakehouse: Lakehouse, wanted: str) -> Receipt:
    """The receipt of a run's metrics, by the path of its JSON file or by its model version.

    Raises:
        TableError: if the memo holds no such run.
    """
    runs = remembered(lakehouse, "run_metrics")
    if Path(wanted).is_file():
        found = [run for run in runs if run.fingerprint == file_fingerprint(Path(wanted))]
    else:
        found = [run for run in runs if run.facts["model_version"] == wanted]
    if not found:
        known = ", ".join(dict.fromkeys(run.facts["model_version"] for run in runs)) or "none"
        raise TableError(f"{lakehouse.root} remembers no run {wanted!r}", f"give one of these model versions: {known}")
    return found[0]


def chain(lakehouse: Lakehouse, run: Receipt) -> dict[str, Receipt]:
    """The receipts that a run was made from, by name, back to the silver ratings.

    Raises:
        TableError: if the memo no longer holds one of them.
    """
    found = {"run_metrics": run}
    todo = ["run_metrics"]
    while todo:
        name = todo.pop()
        step = STEPS[found[name].made_from["step"]]
        for source, wanted in found[name].made_from["inputs"].items():
            if source == "bronze":
                continue
            matching = [
                (maker, one)
                for maker in possible_inputs(source)
                for one in remembered(lakehouse, maker)
                if identity(step, one) == wanted
            ]
            if not matching:
                raise TableError(
                    f"the memo of {source} no longer holds what {name} was made from", project.run_command("gold")
                )
            maker, one = matching[0]
            if maker not in found:
                found[maker] = one
                todo.append(maker)
    return found
