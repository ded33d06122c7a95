"""The runs that a lakehouse remembers, with their metrics and what differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reco_platform.core.errors import ConfigError, TableError
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.maintenance.past_run import PastRun, differences
from reco_platform.pipeline import explain
from reco_platform.reports.text_summary import interval
from reco_platform.store.json_file import read_json

CHAMPION_STATES = ("first", "champion")


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


# --- text


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
