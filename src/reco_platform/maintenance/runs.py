"""The runs that a lakehouse remembers: their parameters, data, code and metrics, and what differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reco_platform.core.errors import ConfigError, TableError
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline import explain
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.reports.text_summary import interval
from reco_platform.store.json_file import read_json

CHAMPION_STATES = ("first", "champion")
MISSING = "-"


@dataclass(frozen=True)
class PastRun:
    """A run whose metrics are still in the lakehouse.

    Attributes:
        version: the model version.
        when: when its metrics were written, ISO 8601, UTC.
        receipts: of its results by name, back to the silver ratings; only of its metrics if others were removed.
        metrics: its metrics file.
        gate: the decision of the gate about its model: first, champion, challenger or untracked; None if not known.
    """

    version: str
    when: str
    receipts: Mapping[str, Receipt]
    metrics: Mapping[str, Any]
    gate: str | None

    @property
    def params(self) -> dict[str, Any]:
        """The config values that shaped its results."""
        return {
            key: value
            for receipt in self.receipts.values()
            for key, value in receipt.made_from["params"].items()
            if key not in STEPS[receipt.made_from["step"]].own
        }

    @property
    def data(self) -> str:
        """The fingerprint of its interactions: equal ones mean the same ratings in the same folds."""
        return str(self.metrics["dataset_info"]["interactions_fingerprint"])

    @property
    def code(self) -> dict[str, str]:
        """The code digest of each step."""
        return {one.made_from["step"]: one.made_from["code"] for one in self.receipts.values()}

    @property
    def headline(self) -> dict[str, dict[str, Any]]:
        """The headline metrics of its models with their intervals."""
        evaluation = self.metrics["evaluation"]
        systems, ranking = evaluation["systems"], evaluation["ranking_system"]
        names = {"rmse_warm": "als", "rmse_all": "als", f"ndcg@{evaluation['headline_k']}": ranking}
        return {metric: systems[system][metric] for metric, system in names.items() if metric in systems[system]}

    def as_json(self) -> dict[str, Any]:
        return {
            "version": self.version, "when": self.when, "data": self.data, "gate": self.gate, "params": self.params,
            "metrics": self.headline,
        }  # fmt: skip


def past_runs(lakehouse: Lakehouse) -> list[PastRun]:
    """The runs whose metrics are still in the lakehouse, the newest first."""
    gates = gate_states(lakehouse)
    found: dict[str, PastRun] = {}
    for receipt in explain.memo_receipts(lakehouse, "run_metrics"):
        version = receipt.facts["model_version"]
        if version in found or tables.content_problem(lakehouse.path, receipt):
            continue
        metrics = read_json(lakehouse.content(receipt.path))
        chain = chain_of(lakehouse, receipt)
        found[version] = PastRun(version, metrics["execution_ts"], chain, metrics, gates.get(version))
    return sorted(found.values(), key=lambda run: run.when, reverse=True)


def chain_of(lakehouse: Lakehouse, receipt: Receipt) -> dict[str, Receipt]:
    """The receipts of a run's results; of its metrics alone if others were removed."""
    try:
        return explain.run_chain(lakehouse, receipt)
    except TableError:
        return {"run_metrics": receipt}


def gate_states(lakehouse: Lakehouse) -> dict[str, str]:
    """What the gate last decided about each model version."""
    found: dict[str, str] = {}
    for receipt in explain.memo_receipts(lakehouse, "gate"):
        found.setdefault(receipt.facts["model_version"], receipt.facts["state"])
    return found


def champion_of(runs: Sequence[PastRun]) -> str | None:
    """The version that became champion last, of runs with the newest first; `promote` is not considered."""
    return next((run.version for run in runs if run.gate in CHAMPION_STATES), None)


def find(runs: Sequence[PastRun], wanted: str) -> PastRun:
    """The run with a version, or whose version begins with these letters.

    Raises:
        ConfigError: if there is none, or more than one.
    """
    found = [run for run in runs if run.version == wanted] or [run for run in runs if run.version.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(run.version for run in found or runs) or "none"
    problem = f"{len(found)} runs begin with {wanted!r}" if found else f"there is no run {wanted!r}"
    raise ConfigError(problem, f"name one of these: {known}")


# --- differences


def changed_params(before: PastRun, after: PastRun) -> dict[str, tuple[Any, Any]]:
    """The config values that differ, of keys that both runs record."""
    first, second = before.params, after.params
    return {key: (first[key], second[key]) for key in sorted(first.keys() & second) if first[key] != second[key]}


def changed_code(before: PastRun, after: PastRun) -> list[str]:
    """The steps whose code differs."""
    first, second = before.code, after.code
    return sorted(step for step in first.keys() & second if first[step] != second[step])


def differences(before: PastRun, after: PastRun) -> list[str]:
    """What differs between two runs, in words."""
    found = [f"{key} {old} -> {new}" for key, (old, new) in changed_params(before, after).items()]
    if before.data != after.data:
        found.append("other data")
    steps = changed_code(before, after)
    return found + ([f"code of {', '.join(steps)}"] if steps else [])


def lines(runs: Sequence[PastRun]) -> Iterator[str]:
    """The runs as text: version, time, decision, metrics, and what differs from the run before."""
    champion = champion_of(runs)
    for at, run in enumerate(runs):
        note = "  champion" if run.version == champion else f"  {run.gate}" if run.gate == "challenger" else ""
        yield f"{run.version}  {run.when[:16].replace('T', ' ')}{note}"
        yield "  " + "   ".join(f"{metric} {interval(found)}" for metric, found in run.headline.items())
        if at + 1 < len(runs):
            changed = differences(runs[at + 1], run)
            yield f"  differs from the run before: {'; '.join(changed) or 'nothing that receipts record'}"
