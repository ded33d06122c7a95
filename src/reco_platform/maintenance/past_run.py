"""A run that a lakehouse remembers, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS


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
