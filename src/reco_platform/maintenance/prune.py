"""Decide which earlier results a lakehouse keeps, and list what can be removed.

Current receipts and those of the newest model versions are kept, with everything that they were made from, back to the
silver tables, so that each kept run can be reproduced. A memo entry is kept as long as its content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from reco_platform.engine import memo
from reco_platform.engine.task import LAST, memo_folder
from reco_platform.lakehouse import delta_log, layout, manifests, tables
from reco_platform.lakehouse.layout import TABLES, Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.maintenance.clean import Removal, is_behind_symlink
from reco_platform.pipeline.explain import RESULTS
from reco_platform.pipeline.steps_table import STEP_OF, artifact_of, possible_inputs
from reco_platform.store.paths import relative_path

VERSION_FILES = tuple(step.makes for step in STEP_OF.values() if step.is_file and step.version_of == "run")
"""Results that are files of one model version."""

VERSIONED = tuple(step for step in STEP_OF.values() if step.is_versioned)
"""Steps whose results are kept side by side, one for each model version."""

DATA_TABLES = tuple(step.makes for step in STEP_OF.values() if step.kind == "table" and not step.version_of)
LIST_TABLES = tuple(step.makes for step in STEP_OF.values() if step.kind == "table" and step.version_of)
"""Tables of a model version: their contents are kept with their runs."""

Content = tuple[str, str]
"""Path and fingerprint."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A receipt of a result: a memo entry at `path`, or the current receipt, without a path."""

    name: str
    receipt: Receipt
    path: Path | None = None

    @property
    def content(self) -> Content:
        return self.receipt.path, self.receipt.fingerprint

    @property
    def payload(self) -> Path | None:
        """The memo's copy of a small file, if it has one."""
        path = self.path and self.path.with_suffix(".payload")
        return path if path and path.is_file() else None


@dataclass(frozen=True)
class Plan:
    """Model versions that are kept and dropped, the newest first, and the removals in order."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    removals: tuple[Removal, ...]


def plan(lakehouse: Lakehouse, keep: int) -> Plan:
    """What to remove to keep the newest `keep` model versions, and as many contents of each data table."""
    entries = [*current_entries(lakehouse), *memo_entries(lakehouse)]
    versions = versions_by_age(lakehouse, entries)
    kept_entries = with_ancestors(entries, root_entries(lakehouse, entries, versions[:keep], keep))
    kept_contents = {entry.content for entry in kept_entries}
    removed = [
        entry for entry in entries if entry.path and (entry.content not in kept_contents or is_lost(lakehouse, entry))
    ]
    kept = [entry.receipt for entry in set(entries) - set(removed)]
    removals = [
        *memo_removals(lakehouse, removed),
        *(
            removal
            for artifact in table_artifacts(lakehouse)
            for removal in table_removals(lakehouse, artifact, referenced_versions(artifact, kept))
        ),
        *version_removals(lakehouse, {receipt.path for receipt in kept}),
    ]
    safe = [
        removal
        for removal in removals
        if removal.paths and not any(is_behind_symlink(lakehouse, path) for path in removal.paths)
    ]
    return Plan(tuple(versions[:keep]), tuple(versions[keep:]), tuple(safe))


# --- present results


def current_entries(lakehouse: Lakehouse) -> Iterator[Entry]:
    """The receipts beside results, and the latest receipt in each memo."""
    for name in RESULTS:
        artifact = artifact_of(name, lakehouse.dataset)
        latest = memo_folder(STEP_OF[name], lakehouse.folder, artifact) / f"{LAST}.json"
        for path in (Path(lakehouse.receipt(artifact)), latest):
            receipt = memo.read_or_none(path)
            if receipt:
                yield Entry(name, receipt)


def memo_entries(lakehouse: Lakehouse) -> Iterator[Entry]:
    for name in RESULTS:
        for path in memo.entries(memo_folder(STEP_OF[name], lakehouse.folder, artifact_of(name, lakehouse.dataset))):
            receipt = memo.read_or_none(path)
            if receipt:
                yield Entry(name, receipt, cast("Path", path))  # as lakehouse.folder is


def versions_by_age(lakehouse: Lakehouse, entries: list[Entry]) -> list[str]:
    """The model versions that were evaluated: the current one first, then by the time of their latest run."""
    times: dict[str, str] = {}
    runs = [entry for entry in entries if entry.name == "run_metrics"]
    current = {entry.receipt.facts["model_version"] for entry in runs if not entry.path}
    for entry in runs:
        version = entry.receipt.facts["model_version"]
        times[version] = max(times.get(version, ""), str(read_metrics(lakehouse, entry).get("execution_ts", "")))
    return sorted(
        {*times, *current}, key=lambda version: (version in current, times.get(version, ""), version), reverse=True
    )


def read_metrics(lakehouse: Lakehouse, entry: Entry) -> Mapping[str, Any]:
    """The metrics file of a run; empty if it cannot be read."""
    try:
        path = entry.payload or lakehouse.folder / entry.receipt.path
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


# --- kept results


def root_entries(lakehouse: Lakehouse, entries: list[Entry], versions: list[str], keep: int) -> list[Entry]:
    """Current entries, those of the kept model versions, and those with the newest contents of data tables."""
    kept = [entry for entry in entries if entry.path is None]
    kept += [entry for entry in entries if entry.name in VERSION_FILES and version_of(entry) in versions]
    runs = [entry for entry in kept if entry.name == "run_metrics"]
    served = {read_metrics(lakehouse, entry).get("served_version") for entry in runs}
    kept += [entry for entry in entries if entry.name == "fallback" and version_of(entry) in served]
    for name in DATA_TABLES:
        table_entries = [entry for entry in entries if entry.name == name]
        contents = contents_by_age(table_entries)[:keep]
        kept += [entry for entry in table_entries if entry.content in contents]
    return kept


def contents_by_age(entries: list[Entry]) -> list[Content]:
    """The contents of a Delta table: the current one first, then by table version, the newest first."""
    ages: dict[Content, tuple[bool, int]] = {}
    for entry in entries:
        if entry.receipt.version is not None:
            age = (entry.path is None, entry.receipt.version)
            ages[entry.content] = max(ages.get(entry.content, age), age)
    return sorted(ages, key=lambda content: ages[content], reverse=True)


def version_of(entry: Entry) -> str | None:
    version = entry.receipt.facts.get("model_version")
    return version and layout.version_in(version)


def with_ancestors(entries: list[Entry], roots: list[Entry]) -> set[Entry]:
    """The roots, and all entries that any of them was made from, directly or not."""
    by_identity: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        for identity in (entry.receipt.content_identity, entry.receipt.full_identity):
            by_identity.setdefault((entry.name, identity), []).append(entry)
    kept, todo = set(roots), list(roots)
    while todo:
        inputs = todo.pop().receipt.made_from.get("inputs", {})
        keys = [(source, identity) for name, identity in inputs.items() for source in possible_inputs(name)]
        parents = {entry for key in keys for entry in by_identity.get(key, [])} - kept
        kept |= parents
        todo += parents
    return kept


def is_lost(lakehouse: Lakehouse, entry: Entry) -> bool:
    """Whether the content of a memo entry no longer exists, so that it cannot be restored."""
    if entry.receipt.kind == "file" and entry.payload:
        return False
    return tables.content_problem(lakehouse.folder, entry.receipt) is not None


# --- removals


def memo_removals(lakehouse: Lakehouse, removed: list[Entry]) -> Iterator[Removal]:
    for name in RESULTS:
        entries = [entry for entry in removed if entry.name == name]
        paths = [path for entry in entries for path in (entry.path, entry.payload) if path]
        if paths:
            yield Removal.of(f"{artifact_of(name, lakehouse.dataset)}: {len(entries)} in the memo", *paths)


def table_artifacts(lakehouse: Lakehouse) -> list[str]:
    results = [artifact_of(name, lakehouse.dataset) for name in (*DATA_TABLES, *LIST_TABLES)]
    return [*results, *map(layout.quarantine, TABLES)]


def referenced_versions(artifact: str, kept: list[Receipt]) -> set[int] | set[str]:
    """The versions of a table that kept receipts name; for rejected rows, their fingerprints."""
    if artifact.startswith("silver/_quarantine/"):
        table = layout.silver(Path(artifact).name)
        return {receipt.facts.get("quarantine_fingerprint", "") for receipt in kept if receipt.path == table}
    return {receipt.version for receipt in kept if receipt.path == artifact and receipt.version is not None}


def table_removals(lakehouse: Lakehouse, artifact: str, referenced: set[int] | set[str]) -> Iterator[Removal]:
    """The versions of a Delta table that nothing refers to, and the data files that no other version needs.

    Nothing of a table whose log or manifests cannot be read; `validate` reports it.
    """
    folder = lakehouse.folder / artifact
    head = delta_log.head_version(folder)
    if head is None:
        return
    try:
        needed = delta_log.log_files(folder, head)
    except Exception:  # delta-rs raises different exceptions for different damages of a log
        return
    dropped: list[int] = []
    for key in [*manifests.manifest_keys(folder), manifests.PENDING]:
        manifest = manifests.read_manifest(folder, key)
        if manifest is None:
            if key == manifests.PENDING:
                continue
            return
        if isinstance(key, int) and key != head and not {key, manifest.fingerprint} & referenced:
            dropped.append(key)
        else:
            needed |= set(manifest.files)
    files = [cast("Path", path) for path in tables.data_files(folder) if str(relative_path(path, folder)) not in needed]
    paths = [*(folder / manifests.MANIFESTS / f"{version}.json" for version in dropped), *files]
    if paths:
        plural = "s" if len(dropped) > 1 else ""
        versions = f"version{plural} {', '.join(map(str, dropped))}" if dropped else "files of no version"
        count = f"{len(files)} data file{'s' if len(files) != 1 else ''}"
        yield Removal.of(f"{artifact}: {versions} ({count})", *paths)


def version_removals(lakehouse: Lakehouse, kept_paths: set[str]) -> Iterator[Removal]:
    """Models and files of model versions that are not kept."""
    root = lakehouse.folder
    for step in VERSIONED:
        pattern = step.content_path(step.artifact, lakehouse.dataset, "*" if step.is_file else "[!._]*")
        for path in sorted(root.glob(pattern)):
            name = str(path.relative_to(root))
            if (step.is_file or path.is_dir()) and name not in kept_paths:
                yield Removal.of(name, path)
