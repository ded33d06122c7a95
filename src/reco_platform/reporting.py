"""What people read: the facts of a run from its files, as a page and as a summary on the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

TEMPLATE = Path(__file__).parent / "templates" / "report.html.j2"


@dataclass(frozen=True)
class Suggestions:
    """A user's best recommendations, with titles."""

    user_id: int
    movies: list[tuple[str, float]]


def suggestions(recommendations: pa.Table, movies: pa.Table, users: int, count: int) -> list[Suggestions]:
    """The first `count` recommendations of `users` users, evenly spread over the table.

    Args:
        recommendations: as its contract says.
        movies: movie_id and title.
    """
    titles = dict(zip(movies["movie_id"].to_pylist(), movies["title"].to_pylist(), strict=True))
    step = max(1, len(recommendations) // max(users, 1))
    found = []
    for row in recommendations.take(list(range(0, len(recommendations), step))[:users]).to_pylist():
        best = row["recommendations"][:count]
        named = [(titles.get(item["movie_id"], f"movie {item['movie_id']}"), item["score"]) for item in best]
        found.append(Suggestions(row["user_id"], named))
    return found


def funnel(etl: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A line for each table: rows in, out, rejected by reason, duplicates."""
    lines = []
    for name, facts in etl["tables"].items():
        if facts.get("absent"):
            lines.append({"table": name, "absent": True})
            continue
        lines.append({"table": name, "absent": False, **facts, "duplicate_rows": sum(facts["duplicates"].values())})
    return lines


def page(metrics: Mapping[str, Any], etl: Mapping[str, Any], best: list[Suggestions]) -> str:
    """The report as one HTML file that needs nothing else."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(metrics=metrics, funnel=funnel(etl), suggestions=best)


def summary(
    root: str, metrics: Mapping[str, Any], etl: Mapping[str, Any], best: list[Suggestions], where: Mapping[str, str]
) -> str:
    """The same for a terminal."""
    lines = ["", "Silver tables"]
    for line in funnel(etl):
        if line["absent"]:
            lines.append(f"  {line['table']:<8} not in this data set")
            continue
        why = ", ".join(f"{reason} {count:,}" for reason, count in line["rejected_by_reason"].items())
        rejected = f"{line['rejected']:,} rejected" + (f" ({why})" if why else "")
        rows = f"{line['rows_out']:>11,} rows of {line['rows_in']:,}"
        lines.append(f"  {line['table']:<8} {rows}; {rejected}; {line['duplicate_rows']:,} duplicates")
    found = metrics["evaluation"]
    rmse = found.get("rmse_missing_because") if found["rmse"] is None else f"{found['rmse']:.4f}"
    lines += [
        "Model",
        f"  version  {metrics['model_version']}",
        f"  RMSE     {rmse} on {found['predictions_count']:,} of {found['test_count']:,} test rows",
        f"  coverage {found['coverage']:.1%} (cold rows, whose user or movie is new: {found['cold_share']:.1%})",
        "Recommendations",
    ]
    for item in best:
        lines.append(f"  user {item.user_id}")
        lines += [f"    {rank}. {title} ({score:.2f})" for rank, (title, score) in enumerate(item.movies, 1)]
    lines.append(f"Where things lie (under {root})")
    lines += [f"  {name:<16} {path}" for name, path in where.items()]
    lines += [
        "Next",
        "  another model:   snakemake --cores 2 gold --config rank=20     (in .venv: . .venv/bin/activate)",
        "  your own data:   snakemake --cores 2 gold --config dataset=mine dataset_path=/any/folder",
        "  check it all:    python tools/run_pipeline.py validate",
    ]
    return "\n".join(lines)


def read_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
