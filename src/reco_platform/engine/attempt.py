"""One attempt to run a step, with the journal and lineage events that it emits."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from reco_platform.core.resource_usage import peak_memory_mb
from reco_platform.engine import journal, openlineage
from reco_platform.engine.step import Step
from reco_platform.lakehouse.receipts import Receipt

Outcome = Literal["worked", "restored", "failed"]


@dataclass(frozen=True)
class Attempt:
    """One attempt to run a step.

    Attributes:
        step: the step.
        root: path or address of the lakehouse.
        artifact: the artifact that the step makes.
        started: start time, in seconds since the epoch.
        code: digest of the step's code; empty until it is known.
        inputs: receipt of each input; empty until they are read.
    """

    step: Step
    root: str
    artifact: str
    started: float
    code: str = ""
    inputs: Mapping[str, Receipt] = field(default_factory=dict)

    @property
    def id(self) -> str | None:
        """The attempt's OpenLineage run id, stable across its processes; None outside a run."""
        path = journal.current()
        return openlineage.attempt_id(path, self.step.name, self.artifact, self.started) if path else None

    def begin(self) -> None:
        """Records the start of the attempt."""
        journal.record("started", self.step.name, self.artifact, attempt=self.id)
        self.emit("START", {})

    def end(self, outcome: Outcome, why: Sequence[str], made: Sequence[Receipt] = ()) -> None:
        """Records the end of the attempt.

        Args:
            outcome: of the attempt.
            why: why the step ran, or why it failed.
            made: receipts of its results.
        """
        seconds, peak = round(time.time() - self.started, 2), peak_memory_mb()
        details: dict[str, Any] = {"seconds": seconds, "why": list(why), "peak_memory_mb": peak}
        journal.record(outcome, self.step.name, self.artifact, attempt=self.id, **details)
        facets = openlineage.facet("recoPlatform_step", outcome=outcome, **details)
        if outcome == "failed":
            facets |= openlineage.error_facet("; ".join(why))
        if made:
            facets |= openlineage.parameters_facet(made[0].made_from.get("params", {}))
        self.emit(
            "FAIL" if outcome == "failed" else "COMPLETE",
            facets,
            inputs=[openlineage.dataset(self.root, receipt) for receipt in openlineage.present(self.inputs.values())],
            outputs=[
                openlineage.output_dataset(self.root, receipt, self.inputs) for receipt in openlineage.present(made)
            ],
        )

    def emit(self, kind: openlineage.Kind, facets: openlineage.Facets, **datasets: Any) -> None:
        path, run = journal.current(), self.id
        if path is None or run is None:
            return
        code = {"digest": self.code} if self.code else {}
        job_facets = openlineage.facet("recoPlatform_sourceCode", script=self.step.script, **code)
        facets = openlineage.parent_facet(path) | facets
        event = openlineage.run_event(
            kind, run, self.step.name, run_facets=facets, job_facets=job_facets, **datasets
        )  # fmt: skip
        openlineage.emit(path, event)
