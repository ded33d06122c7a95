"""Which earlier results are kept, and what of a lakehouse nothing that is kept names any more.

Receipts are the roots: those that are current, and those of the runs of the newest model versions. What a kept result
was made from is kept too, back to the silver tables, so that each kept run can be reproduced. A memo entry lasts as
long as its content.
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
from reco_platform.maintenance.clean import Removal, leads_out, removal
from reco_platform.pipeline.explain import RESULTS
from reco_platform.pipeline.steps_table import STEP_OF, artifact_of, possible_inputs
from reco_platform.store.paths import relative_path

VERSION_FILES = tuple(one.makes for one in STEP_OF.values() if one.is_file and one.version_of == "model")
"""Results that are files of one model version."""

VERSIONED = tuple(one for one in STEP_OF.values() if one.is_versioned)
"""Steps whose results are kept side by side, one for each model version."""

DATA = tuple(one.makes for one in STEP_OF.values() if one.kind == "table" and not one.version_of)
LISTS = tuple(one.makes for one in STEP_OF.values() if one.kind == "table" and one.version_of)
"""Tables of a model version: their contents stay with their runs."""

Content = tuple[str, str]
"""Path and fingerprint."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A receipt that is remembered: in a memo, or (without a path) as the current one."""

    name: str
    receipt: Receipt
    path: Path | None = None

    @property
    def content(self) -> Content:
        return self.receipt.path, self.receipt.fingerprint

    @property
    def payload(self) -> Path | None:
        """The memo's copy of a small file, where it has one."""
        found = self.path and self.path.with_suffix(".payload")
        return found if found and found.is_file() else None


@dataclass(frozen=True)
class Plan:
    """What stays, by model version, the newest first, and what goes, in the order of removal."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    removals: tuple[Removal, ...]


def plan(lakehouse: Lakehouse, keep: int) -> Plan:
    """What goes where the newest `keep` model versions, and contents of each data table, are to stay."""
    entries = [*current(lakehouse), *in_memos(lakehouse)]
    versions = versions_by_age(lakehouse, entries)
    wanted = {entry.content for entry in marked(entries, roots(lakehouse, entries, versions[:keep], keep))}
    goes = [entry for entry in entries if entry.path and (entry.content not in wanted or lost(lakehouse, entry))]
    stays = [entry.receipt for entry in set(entries) - set(goes)]
    removals = [
        *of_memos(lakehouse, goes),
        *(
            found
            for artifact in table_artifacts(lakehouse)
            for found in of_table(lakehouse, artifact, versions_of(artifact, stays))
        ),
        *of_versions(lakehouse, {receipt.path for receipt in stays}),
    ]
    safe = [one for one in removals if one.paths and not any(leads_out(lakehouse, path) for path in one.paths)]
    return Plan(tuple(versions[:keep]), tuple(versions[keep:]), tuple(safe))


# --- what is there


def current(lakehouse: Lakehouse) -> Iterator[Entry]:
    """The receipts that stand beside results, and the latest that each memo knows of."""
    for name in RESULTS:
        artifact = artifact_of(name, lakehouse.dataset)
        latest = memo_folder(STEP_OF[name], lakehouse.folder, artifact) / f"{LAST}.json"
        for path in (Path(lakehouse.receipt(artifact)), latest):
            receipt = memo.read_or_none(path)
            if receipt:
                yield Entry(name, receipt)


def in_memos(lakehouse: Lakehouse) -> Iterator[Entry]:
    for name in RESULTS:
        for path in memo.entries(memo_folder(STEP_OF[name], lakehouse.folder, artifact_of(name, lakehouse.dataset))):
            receipt = memo.read_or_none(path)
            if receipt:
                yield Entry(name, receipt, cast("Path", path))  # as lakehouse.folder is


def versions_by_age(lakehouse: Lakehouse, entries: list[Entry]) -> list[str]:
    """The model versions that were evaluated: the current one first, then by the time of their latest run."""
    times: dict[str, str] = {}
    now = {entry.receipt.facts["model_version"] for entry in entries if entry.name == "model" and not entry.path}
    for entry in entries:
        if entry.name == "run_metrics":
            version = entry.receipt.facts["model_version"]
            times[version] = max(times.get(version, ""), str(metrics_of(lakehouse, entry).get("execution_ts", "")))
    return sorted({*times, *now}, key=lambda version: (version in now, times.get(version, ""), version), reverse=True)


def metrics_of(lakehouse: Lakehouse, entry: Entry) -> Mapping[str, Any]:
    """What the metrics of a run say; nothing where they cannot be read."""
    try:
        path = entry.payload or lakehouse.folder / entry.receipt.path
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


# --- what stays


def roots(lakehouse: Lakehouse, entries: list[Entry], versions: list[str], keep: int) -> list[Entry]:
    """What stays for its own sake: what is current, what is of a kept version, the newest contents of data tables."""
    found = [entry for entry in entries if entry.path is None]
    found += [entry for entry in entries if entry.name in VERSION_FILES and version_of(entry) in versions]
    runs = [entry for entry in found if entry.name == "run_metrics"]
    served = {metrics_of(lakehouse, entry).get("served_version") for entry in runs}
    found += [entry for entry in entries if entry.name == "fallback" and version_of(entry) in served]
    for name in DATA:
        of_table = [entry for entry in entries if entry.name == name]
        contents = newest(of_table)[:keep]
        found += [entry for entry in of_table if entry.content in contents]
    return found


def newest(entries: list[Entry]) -> list[Content]:
    """The contents of a Delta table: the current one first, then by the version that wrote it."""
    ages: dict[Content, tuple[bool, int]] = {}
    for entry in entries:
        if entry.receipt.version is not None:
            age = (entry.path is None, entry.receipt.version)
            ages[entry.content] = max(ages.get(entry.content, age), age)
    return sorted(ages, key=lambda content: ages[content], reverse=True)


def version_of(entry: Entry) -> str | None:
    named = entry.receipt.facts.get("model_version")
    return named and layout.version_in(named)


def marked(entries: list[Entry], start: list[Entry]) -> set[Entry]:
    """The start, and everything that any of it was made from."""
    known: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        for identity in (entry.receipt.content_identity, entry.receipt.full_identity):
            known.setdefault((entry.name, identity), []).append(entry)
    kept, todo = set(start), list(start)
    while todo:
        inputs = todo.pop().receipt.made_from.get("inputs", {})
        wanted = [(maker, seen) for name, seen in inputs.items() for maker in possible_inputs(name)]
        found = {entry for key in wanted for entry in known.get(key, [])} - kept
        kept |= found
        todo += found
    return kept


def lost(lakehouse: Lakehouse, entry: Entry) -> bool:
    """Whether the content of a memo entry is no longer there, so that it could not be restored."""
    if entry.receipt.kind == "file" and entry.payload:
        return False
    return tables.content_problem(lakehouse.folder, entry.receipt) is not None


# --- what goes


def of_memos(lakehouse: Lakehouse, goes: list[Entry]) -> Iterator[Removal]:
    for name in RESULTS:
        entries = [entry for entry in goes if entry.name == name]
        paths = [path for entry in entries for path in (entry.path, entry.payload) if path]
        if paths:
            yield removal(f"{artifact_of(name, lakehouse.dataset)}: {len(entries)} remembered", *paths)


def table_artifacts(lakehouse: Lakehouse) -> list[str]:
    return [*(artifact_of(name, lakehouse.dataset) for name in (*DATA, *LISTS)), *map(layout.quarantine, TABLES)]


def versions_of(artifact: str, stays: list[Receipt]) -> set[int] | set[str]:
    """What kept receipts name of a table: versions; of rejected rows their fingerprints."""
    if artifact.startswith("silver/_quarantine/"):
        table = layout.silver(Path(artifact).name)
        return {receipt.facts.get("quarantine_fingerprint", "") for receipt in stays if receipt.path == table}
    return {receipt.version for receipt in stays if receipt.path == artifact and receipt.version is not None}


def of_table(lakehouse: Lakehouse, artifact: str, named: set[int] | set[str]) -> Iterator[Removal]:
    """The versions of a Delta table that nothing names, and the data files that no other version has.

    Nothing of a table whose log or manifests cannot be read: `validate` tells of it.
    """
    folder = lakehouse.folder / artifact
    head = delta_log.head_version(folder)
    if head is None:
        return
    try:
        needed = delta_log.log_files(folder, head)
    except Exception:  # delta-rs raises its own kinds for each damage of a log
        return
    drop: list[int] = []
    for key in [*manifests.manifest_keys(folder), manifests.PENDING]:
        manifest = manifests.read_manifest(folder, key)
        if manifest is None:
            if key == manifests.PENDING:
                continue
            return
        if isinstance(key, int) and key != head and not {key, manifest.fingerprint} & named:
            drop.append(key)
        else:
            needed |= set(manifest.files)
    files = [cast("Path", path) for path in tables.data_files(folder) if str(relative_path(path, folder)) not in needed]
    paths = [*(folder / manifests.MANIFESTS / f"{version}.json" for version in drop), *files]
    if paths:
        many = "s" if len(drop) > 1 else ""
        versions = f"version{many} {', '.join(map(str, drop))}" if drop else "files of no version"
        yield removal(f"{artifact}: {versions} ({len(files)} data file{'s' if len(files) != 1 else ''})", *paths)


def of_versions(lakehouse: Lakehouse, stays: set[str]) -> Iterator[Removal]:
    """Models, and the files that are one for each model version."""
    root = lakehouse.folder
    found = []
    for step in VERSIONED:
        pattern = step.content_path(step.artifact, lakehouse.dataset, "*" if step.is_file else "[!._]*")
        found += [path for path in sorted(root.glob(pattern)) if step.is_file or path.is_dir()]
    for path in found:
        name = str(path.relative_to(root))
        if name not in stays:
            yield removal(name, path)
