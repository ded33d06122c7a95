"""The lineage of a result, back to the CSV files of bronze, and what has changed since it was made."""

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
"""Names of the results that can be explained."""


@dataclass(frozen=True)
class ResultLineage:
    """One result: its receipt, what has changed since it was made, and the lineage of its inputs."""

    name: str
    receipt: Receipt
    changes: list[str]
    inputs: list[ResultLineage]

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
            "inputs": [lineage_of.as_json() for lineage_of in self.inputs],
        }


def explain(lakehouse: Lakehouse, config: Config, name: str) -> ResultLineage:
    """The lineage of a result.

    Args:
        lakehouse: the lakehouse.
        config: the present configuration.
        name: name of the result, such as `run_metrics` or `ratings`; for results of sweeps their path: `sweeps/data`,
            `sweeps/<name>`, `sweeps/trials/<id>`, `sweeps/_tracking/<name>`.

    Raises:
        ConfigError: if there is no such result.
        TableError: if it has not been made, or is damaged.
    """
    if name in RESULTS:
        return lineage_of(lakehouse, config, STEP_OF[name], artifact_of(name, lakehouse.dataset))
    if name.startswith(f"{layout.SWEEPS}/"):
        artifact = layout.trial(name.split("/")[2]) if name.startswith(layout.TRIALS) else name.rstrip("/")
        return lineage_of(lakehouse, config, step_making(artifact, lakehouse.dataset), artifact)
    near = difflib.get_close_matches(name, RESULTS, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(
        f"there is no result {name!r}{guess}",
        f"use one of {', '.join(RESULTS)}; for sweeps use sweeps/data, sweeps/NAME or sweeps/trials/ID",
    )


def lineage_of(lakehouse: Lakehouse, config: Config, step: Step, artifact: str) -> ResultLineage:
    receipt = receipts.read(lakehouse.receipt(artifact))
    inputs = {
        name: bronze_file(lakehouse, source)
        if name == "bronze"
        else lineage_of(lakehouse, config, step_making(source, lakehouse.dataset), source)
        for name, source in sources(step, receipt, lakehouse, config).items()
    }
    changes = changes_since(lakehouse, config, step, receipt, {name: one.receipt for name, one in inputs.items()})
    problem = tables.content_problem(lakehouse.path, receipt)
    name = artifact if step.name in SWEEP_STEPS else step.makes
    return ResultLineage(name, receipt, changes + ([problem] if problem else []), list(inputs.values()))


def changes_since(
    lakehouse: Lakehouse, config: Config, step: Step, receipt: Receipt, inputs: Mapping[str, Receipt]
) -> list[str]:
    """What has changed in the step's parameters, code and inputs since it made a result, by name."""
    now = {name: identity(step, one) for name, one in inputs.items()}
    values = current_parameters(step, receipt, config)
    code = values.pop("code")
    provenance_file = provenance.provenance_path(Path(lakehouse.receipt(receipt.artifact)))
    return provenance.differences(
        step, receipt.made_from, {"params": values, "code": code, "inputs": now}, provenance_file
    )


def is_outdated(lakehouse: Lakehouse, config: Config, receipt: Receipt) -> bool:
    """Whether a result was made with other parameters, code or inputs than the present ones.

    Raises:
        TableError: if an input is missing; the step that makes it will then run first.
    """
    step = STEPS.get(receipt.made_from["step"])
    if step is None:  # an earlier version of the project made it
        return True
    found = sources(step, receipt, lakehouse, config)
    inputs = {name: receipts.read(lakehouse.receipt(source)) for name, source in found.items()}
    return bool(changes_since(lakehouse, config, step, receipt, inputs))


def sources(step: Step, receipt: Receipt, lakehouse: Lakehouse, config: Config) -> dict[str, str]:
    """The artifact of each input of a result, by input name."""
    if step.reads_trials:
        return {name: layout.trial(name) for name, _ in receipt.made_from["params"]["cells"]}
    if step.name == "track_sweep":
        return {"leaderboard": layout.sweep(Path(receipt.artifact).name)}
    return input_artifacts(step, lakehouse, config)


def current_parameters(step: Step, receipt: Receipt, config: Config) -> dict[str, Any]:
    """The present parameters of a result; a trial's or a sweep's own parameters are those in its receipt."""
    before = receipt.made_from["params"]
    if config.sweep_metric is None:  # its default depends on the sweep
        config = config.model_copy(update={"sweep_metric": before.get("sweep_metric")})
    if step.name == "trial":
        config = sweeps.trial_config(config, before)
    return parameters(step, config) | {key: before[key] for key in step.own}


def bronze_file(lakehouse: Lakehouse, artifact: str) -> ResultLineage:
    receipt = receipts.read(lakehouse.receipt(artifact))
    problem = tables.content_problem(lakehouse.path, receipt)
    return ResultLineage(Path(artifact).name + ".csv", receipt, [problem] if problem else [], [])


def lines(one: ResultLineage, depth: int = 0, seen: set[str] | None = None) -> Iterator[str]:
    """The lineage as text; a result that occurs again is named but not repeated."""
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
    yield from (f"{margin}  CHANGED NOW: {difference}" for difference in one.changes)
    for made_from in one.inputs:
        yield from lines(made_from, depth + 1, seen)


# --- earlier results


def memo_receipts(lakehouse: Lakehouse, name: str) -> list[Receipt]:
    """All receipts in the memo of a result, the newest first."""
    step = STEP_OF[name]
    folder = memo_folder(step, lakehouse.path, artifact_of(name, lakehouse.dataset))
    found = map(memo.read_or_none, memo.entries(folder))
    return [receipt for receipt in found if receipt]


def run_receipt(lakehouse: Lakehouse, wanted: str) -> Receipt:
    """The receipt of a run's metrics, by the path of its JSON file or by its model version.

    Raises:
        TableError: if the memo has no such run.
    """
    runs = memo_receipts(lakehouse, "run_metrics")
    if Path(wanted).is_file():
        found = [run for run in runs if run.fingerprint == file_fingerprint(Path(wanted))]
    else:
        found = [run for run in runs if run.facts["model_version"] == wanted]
    if not found:
        known = ", ".join(dict.fromkeys(run.facts["model_version"] for run in runs)) or "none"
        raise TableError(
            f"the memo of {lakehouse.root} has no run {wanted!r}", f"give one of these model versions: {known}"
        )
    return found[0]


def run_chain(lakehouse: Lakehouse, run: Receipt) -> dict[str, Receipt]:
    """The receipts that a run was made from, by name, back to the silver ratings.

    Raises:
        TableError: if the memo no longer holds one of them.
    """
    found = {"run_metrics": run}
    pending = ["run_metrics"]
    while pending:
        name = pending.pop()
        step = STEPS[found[name].made_from["step"]]
        for source, wanted in found[name].made_from["inputs"].items():
            if source == "bronze":
                continue
            matching = [
                (candidate, one)
                for candidate in possible_inputs(source)
                for one in memo_receipts(lakehouse, candidate)
                if identity(step, one) == wanted
            ]
            if not matching:
                raise TableError(
                    f"the memo of {source} no longer has the input that {name} was made from",
                    project.run_command("gold"),
                )
            candidate, one = matching[0]
            if candidate not in found:
                found[candidate] = one
                pending.append(candidate)
    return found
