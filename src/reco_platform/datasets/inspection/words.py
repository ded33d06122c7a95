"""An inspection in words for people, as YAML for a run, and as JSON for programs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from reco_platform.core import project
from reco_platform.datasets.inspection.checks import Rejections, rejections
from reco_platform.datasets.inspection.detect import Inspection, Look, estimated_rows, format_words
from reco_platform.datasets.inspection.files import COMPRESSED_BYTES
from reco_platform.datasets.inspection.names import dataset_name

MOST_FILES = 20


def config_of(found: Inspection) -> dict[str, Any]:
    """The config with which a run reads the files: only what differs from MovieLens's layout, or from a known one."""
    place = Path(os.path.abspath(found.place))  # noqa: PTH100  # links stay as they are
    folder = place if place.is_dir() else place.parent
    return {"dataset": found.name or dataset_name(folder), "dataset_path": str(folder), **found.layout_keys}


def yaml_of(config: Mapping[str, Any]) -> str:
    """The config as lines of YAML."""
    return "".join(yaml.safe_dump({key: value}, allow_unicode=True, width=1000) for key, value in config.items())


def as_json(found: Inspection) -> dict[str, Any]:
    """An inspection as one JSON object."""
    rejected = rejections(found)
    return {
        "place": str(found.place),
        "layout": found.known.layout if found.known else None,
        "sure": found.is_sure,
        "files": [file_json(look) for look in found.looks],
        "ratings_files": list(found.parts),
        "rows": found.rows,
        "findings": [
            {"what": one.what, "text": one.text, "sure": one.sure, "alternatives": list(one.alternatives)}
            for one in found.findings
        ],
        "columns": {
            name: {"kind": column.kind, "distinct": column.distinct, "least": column.least,
                   "greatest": column.greatest, "time_unit": column.time.unit if column.time else None,
                   "example": column.example}
            for name, column in found.ratings.profiles.items()
        },
        "rejected": {
            "sampled": rejected.sampled, "rows": rejected.rejected, "share": round(rejected.share, 6),
            "reasons": [{"rule": one.rule, "rows": one.rows, "value": one.value} for one in rejected.reasons],
        },
        "config": config_of(found),
    }  # fmt: skip


def file_json(look: Look) -> dict[str, Any]:
    table = look.table
    return {
        "name": look.file.name,
        "format": table.format if table else None,
        "rows": estimated_rows(look),
        "columns": list(table.names) if table else [],
    }


def lines_of(found: Inspection) -> list[str]:
    """An inspection as text for the terminal."""
    width = max(len(look.file.name) for look in found.looks[:MOST_FILES])
    lines = [
        f"{found.place}",
        *(f"  {look.file.name:<{width}}  {file_words(look)}" for look in found.looks[:MOST_FILES]),
    ]
    if len(found.looks) > MOST_FILES:
        lines.append(f"  and {len(found.looks) - MOST_FILES} more files")
    lines += ["", "What they seem to be (? where this is not sure)"]
    for one in found.findings:
        lines.append(f"{' ' if one.sure else '?'} {one.what:<8} {one.text}")
        if one.alternatives:
            lines.append(f"  {'':<8} or {', or '.join(one.alternatives)}")
    return [*lines, "", *rejection_lines(rejections(found))]


def file_words(look: Look) -> str:
    if look.table is None:
        return look.problem
    rows = estimated_rows(look)
    about = "" if look.table.total_rows is not None else "about "
    if rows is None:
        about, rows = "more than ", round(COMPRESSED_BYTES / max(look.table.row_bytes, 1))
    return f"{format_words(look.table)}; {about}{rounded(rows) if about else rows:,} rows"


def rounded(number: int) -> int:
    """A number with its first three digits."""
    unit = 10 ** max(len(str(number)) - 3, 0)
    return number // unit * unit


def rejection_lines(found: Rejections) -> list[str]:
    if not found.rejected:
        return [f"None of {found.sampled:,} sampled rows would be rejected."]
    lines = [f"{found.rejected:,} of {found.sampled:,} sampled rows ({found.share:.1%}) would be rejected:"]
    return lines + [f"  {one.rule:<24} {one.rows:>7,}   such as {one.value[:60]!r}" for one in found.reasons[:6]]


def next_lines(found: Inspection, saved: str | None) -> list[str]:
    """The config, and the command that uses it."""
    config = config_of(found)
    if saved is None:
        place = shlex.quote(str(found.place))
        save = project.inspect_command(place, "--save mine.yaml")
        lines = ["The config that fits; `" + save + "` writes it to a file:", ""]
        lines += ["  " + line for line in yaml_of(config).splitlines()]
        command = project.run_command("gold", "--configfile mine.yaml")
        return [*lines, "", f"Then run   {command}"]
    command = project.run_command("gold", f"--configfile {shlex.quote(saved)}")
    return [f"The config that fits is in {saved}.", f"Then run   {command}"]
