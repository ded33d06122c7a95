"""What a result was made from, all the way to the bytes of bronze, and what is different now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reco_platform import receipts, steps, storage
from reco_platform.config import Config
from reco_platform.errors import TableError
from reco_platform.layout import Lakehouse
from reco_platform.receipts import Receipt
from reco_platform.registry import MAKERS, STEPS, Step, input_artifacts, may_stand_for, parameters, stands_for


@dataclass(frozen=True)
class Made:
    """One result: its receipt, what differs now from what it was made from, and its inputs."""

    name: str
    receipt: Receipt
    differs: list[str]
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
            "differs_now": self.differs,
            "inputs": [made.as_json() for made in self.inputs],
        }


def explain(house: Lakehouse, config: Config, name: str) -> Made:
    """The lineage of a result by the name under which steps read it, such as `run_metrics` or `ratings`.

    Raises:
        TableError: if there is no such result.
    """
    if name not in MAKERS or name == "bronze":
        known = ", ".join(maker for maker in MAKERS if maker != "bronze")
        raise TableError(f"there is no result {name!r}; results are {known}", f"name one of {known}")
    return made(house, config, MAKERS[name])


def made(house: Lakehouse, config: Config, step: Step) -> Made:
    receipt = receipts.read(house.receipt(house.artifact(step.makes)))
    inputs = [
        bronze_file(house, artifact) if name == "bronze" else made(house, config, MAKERS[stands_for(name, config)])
        for name, artifact in input_artifacts(step, house, config).items()
    ]
    now = {name: steps.identity(step, one.receipt) for name, one in zip(step.reads, inputs, strict=True)}
    values = parameters(step, config)
    code = values.pop("code")
    side = steps.provenance_path(Path(house.receipt(receipt.artifact)))
    present = {"step": step.name, "params": values, "code": code, "inputs": now}
    differs = steps.differences(step, receipt.made_from, present, side)
    lost = storage.problem(Path(house.root), receipt)
    return Made(step.makes, receipt, differs + ([lost] if lost else []), inputs)


def bronze_file(house: Lakehouse, artifact: str) -> Made:
    receipt = receipts.read(house.receipt(artifact))
    lost = storage.problem(Path(house.root), receipt)
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
    if one.name in MAKERS:
        params = ", ".join(f"{key}={value}" for key, value in receipt.made_from["params"].items()) or "no parameters"
        yield f"{margin}  made by {receipt.made_from['step']} ({params}), code {receipt.made_from['code']}"
    yield from (f"{margin}  NOW DIFFERENT: {difference}" for difference in one.differs)
    for made_from in one.inputs:
        yield from lines(made_from, depth + 1, seen)


# --- earlier results


def remembered(house: Lakehouse, name: str) -> list[Receipt]:
    """Every receipt that the memo of a result holds, the newest first."""
    step = MAKERS[name]
    folder = steps.memo_folder(step, Path(house.root), house.artifact(name))
    found = map(steps.remembered, steps.memo_entries(folder))
    return [receipt for receipt in found if receipt]


def run_receipt(house: Lakehouse, wanted: str) -> Receipt:
    """The receipt of a run's metrics, by the path of its JSON file or by its model version.

    Raises:
        TableError: if the memo holds no such run.
    """
    runs = remembered(house, "run_metrics")
    if Path(wanted).is_file():
        found = [run for run in runs if run.fingerprint == storage.file_fingerprint(Path(wanted))]
    else:
        found = [run for run in runs if run.facts["model_version"] == wanted]
    if not found:
        known = ", ".join(dict.fromkeys(run.facts["model_version"] for run in runs)) or "none"
        raise TableError(f"{house.root} remembers no run {wanted!r}", f"give one of these model versions: {known}")
    return found[0]


def chain(house: Lakehouse, run: Receipt) -> dict[str, Receipt]:
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
                for maker in may_stand_for(source)
                for one in remembered(house, maker)
                if steps.identity(step, one) == wanted
            ]
            if not matching:
                raise TableError(f"the memo of {source} no longer holds what {name} was made from", "snakemake gold")
            maker, one = matching[0]
            if maker not in found:
                found[maker] = one
                todo.append(maker)
    return found
