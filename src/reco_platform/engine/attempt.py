"""One attempt at a step, as the journal and the lineage of its run tell of it."""

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
    """One attempt at a step.

    Attributes:
        step: what is attempted.
        root: the lakehouse.
        artifact: what it makes.
        started: when it began, in seconds since the epoch.
        code: digest of its code, once that is known.
        inputs: what it reads, once that is open.
    """

    step: Step
    root: str
    artifact: str
    started: float
    code: str = ""
    inputs: Mapping[str, Receipt] = field(default_factory=dict)

    @property
    def id(self) -> str | None:
        """Its run id in the lineage, the same in each process that it goes on in; None outside of a run."""
        path = journal.current()
        return openlineage.attempt_id(path, self.step.name, self.artifact, self.started) if path else None

    def begin(self) -> None:
        """Says that it has begun."""
        journal.record("started", self.step.name, self.artifact, attempt=self.id)
        self.emit("START", {})

    def end(self, outcome: Outcome, why: Sequence[str], made: Sequence[Receipt] = ()) -> None:
        """Says how it ended.

        Args:
            outcome: how.
            why: why it was asked to run, or why it failed.
            made: receipts of what is there now.
        """
        seconds, peak = round(time.time() - self.started, 2), peak_memory_mb()
        details: dict[str, Any] = {"seconds": seconds, "why": list(why), "peak_memory_mb": peak}
        journal.record(outcome, self.step.name, self.artifact, attempt=self.id, **details)
        facets = openlineage.facet("recoPlatform_step", outcome=outcome, **details)
        if outcome == "failed":
            facets |= openlineage.error("; ".join(why))
        if made:
            facets |= openlineage.parameters(made[0].made_from.get("params", {}))
        self.emit(
            "FAIL" if outcome == "failed" else "COMPLETE",
            facets,
            inputs=[openlineage.dataset(self.root, one) for one in openlineage.there(self.inputs.values())],
            outputs=[openlineage.output(self.root, one, self.inputs) for one in openlineage.there(made)],
        )

    def emit(self, kind: openlineage.Kind, facets: openlineage.Facets, **datasets: Any) -> None:
        path, run = journal.current(), self.id
        if path is None or run is None:
            return
        code = {"digest": self.code} if self.code else {}
        job_facets = openlineage.facet("recoPlatform_sourceCode", script=self.step.script, **code)
        facets = openlineage.parent(path) | facets
        event = openlineage.run_event(
            kind, run, self.step.name, run_facets=facets, job_facets=job_facets, **datasets
        )  # fmt: skip
        openlineage.emit(path, event)
