"""The definition of one step of a pipeline. The engine is given the steps; it never imports the table of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Layer = Literal["bronze", "silver", "gold", "sweeps"]
ResultKind = Literal["table", "model", "folder", "file"]


@dataclass(frozen=True)
class ReportCopy:
    """A copy of a step's newest file for Snakemake's own report (`snakemake --report`).

    Attributes:
        file: its name in reports/_latest/.
        caption: name of the caption file in rules/captions/.
        category: heading in the report.
        label: short description for the report.
    """

    file: str
    caption: str
    category: str
    label: str


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: name of the step, of its rule, of its script and of its module in `steps`.
        makes: name of its result, under which other steps read it.
        description: what it makes, in one sentence; the docstring of its rule.
        layer: part of the lakehouse that it belongs to.
        kind: of its result.
        artifact: path of its result in the lakehouse, without suffix or version; may contain {dataset}.
        content: path of the content: {artifact}, {dataset} and {version} (the model version) are filled in.
        reads: its inputs by name.
        reads_if_made: those of its inputs that not every configuration has.
        keys: config keys that shape its result.
        files: files other than Python modules that shape its result, relative to the package.
        all_threads: whether it uses every core that the run has; otherwise one.
        memory_mb: memory that Snakemake reserves for it.
        reads_facts: whether its result depends on the facts in its inputs' receipts as well as on their content.
        version_of: the input whose model version its result carries, or `run` for the version of the run's models
            together; None if it belongs to no model.
        serves_as: input names that refer to this result if the step is enabled, and to the model otherwise.
        only_if: key or property of the configuration that enables the step; None if it is always enabled.
        reads_trials: whether it also reads the trials of a sweep that its parameter `cells` lists.
        own: its parameters that are not config keys.
        report_copy: the copy for Snakemake's report; None if there is none.
    """

    name: str
    makes: str
    description: str
    layer: Layer
    kind: ResultKind
    artifact: str
    content: str = "{artifact}"
    reads: tuple[str, ...] = ()
    reads_if_made: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    all_threads: bool = False
    memory_mb: int = 1500
    reads_facts: bool = False
    version_of: str | None = None
    serves_as: tuple[str, ...] = ()
    only_if: str | None = None
    reads_trials: bool = False
    own: tuple[str, ...] = ()
    report_copy: ReportCopy | None = None

    def is_enabled(self, config: Any) -> bool:
        """Whether a run with this configuration has the step."""
        return self.only_if is None or bool(getattr(config, self.only_if))

    def artifact_path(self, dataset: str) -> str:
        """Path of the artifact in the lakehouse of a data set."""
        return self.artifact.replace("{dataset}", dataset)

    def content_path(self, artifact: str, dataset: str, version: str = "") -> str:
        """Path of the content of one of its artifacts in the lakehouse.

        Args:
            artifact: as in the receipt.
            dataset: name of the data set.
            version: the model version; `*` for a pattern of all.
        """
        filled = self.content.replace("{artifact}", artifact).replace("{version}", version)
        return filled.replace("{dataset}", dataset)

    @property
    def is_versioned(self) -> bool:
        """Whether results of several model versions are kept side by side."""
        return "{version}" in self.content

    @property
    def is_file(self) -> bool:
        return self.kind == "file"

    @property
    def script(self) -> str:
        """Path of its script, relative to the project."""
        return f"scripts/{self.name}.py"
