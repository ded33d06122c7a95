"""What people read of a run: its facts in words, and the summary on the terminal. `pages` has the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from reco_platform.config import commands
from reco_platform.core import project
from reco_platform.store.paths import StorePath


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


def summary(
    root: str,
    metrics: Mapping[str, Any],
    etl: Mapping[str, Any],
    best: list[Suggestions],
    *,
    gate: Mapping[str, Any],
    where: Mapping[str, str],
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
    lines += ["Model", f"  version  {metrics['model_version']}", *judgement(metrics["evaluation"])]
    if metrics["refit"]:
        lines.append(f"  served   {metrics['served_version']}, trained on all ratings after that evaluation")
    lines += [f"  gate     {GATES[gate['state']]}: {gate['reason']}", "Recommendations"]
    for item in best:
        lines.append(f"  user {item.user_id}")
        lines += [f"    {rank}. {title} ({score:.2f})" for rank, (title, score) in enumerate(item.movies, 1)]
    lines.append(f"Where things lie (under {root})")
    lines += [f"  {name:<16} {path}" for name, path in where.items()]
    lines += [
        "Next",
        f"  another model:   {commands.as_typed('gold', '', '--config rank=20')}{activation()}",
        f"  your own data:   {commands.as_typed('gold', '', '--config dataset=mine dataset_path=/any/folder')}",
        f"  check it all:    {project.command('validate')}",
    ]
    return "\n".join(lines)


def activation() -> str:
    """How a checkout's environment is activated, so that its commands are found."""
    return "     (in .venv: . .venv/bin/activate)" if project.is_typed_as_snakemake() else ""


GATES = {
    "first": "became champion",
    "champion": "became champion",
    "challenger": "stays challenger",
    "untracked": "not judged",
}
"""What happened at the gate, in words; another model may have become champion since."""

SYSTEMS = {
    "als": "this model",
    "als_plain": "ALS without biases",
    "biases": "user and movie biases",
    "global_mean": "mean rating",
    "popular": "most popular",
    "popular_recent": "most popular lately",
}


def headlines(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """What each headline metric is about, with its counts."""
    folds, k = evaluation["folds"], evaluation["headline_k"]
    return {
        "rmse_warm": f"RMSE on the {folds['warm_rows']:,} of {folds['rows']:,} test ratings whose user and movie it"
        f" knows (coverage {evaluation['coverage']:.1%})",
        "rmse_all": "RMSE on all test ratings, by biases where it knows one of the two or neither",
        f"ndcg@{k}": f"NDCG@{k} for {folds['ranked_users']:,} of {folds['users']:,} test users (more is better)",
    }


def judgement(evaluation: Mapping[str, Any]) -> list[str]:
    """The headline metrics beside the baselines, and every baseline that the model does not beat."""
    lines = []
    for metric, title in headlines(evaluation).items():
        lines.append(f"  {title}")
        for system, name in SYSTEMS.items():
            found = evaluation["systems"].get(system, {}).get(metric)
            if found:
                lines.append(f"    {name:<22} {interval(found)}")
    return lines + [f"  [WARNING] {text}" for text in shortcomings(evaluation)]


def interval(found: Mapping[str, Any]) -> str:
    """A metric with its 95% interval, or why there is none."""
    if found["value"] is None:
        return str(found["missing_because"])
    around = "" if found.get("low") is None else f"  [{found['low']:.4f}, {found['high']:.4f}]"
    return f"{found['value']:.4f}{around}"


def shortcomings(evaluation: Mapping[str, Any]) -> list[str]:
    """A sentence for each headline metric and baseline that the model does not surely beat."""
    words = {"worse": "is worse than", "undecided": "cannot be told from"}
    return [
        f"this model {words[one['verdict']]} the baseline '{SYSTEMS[one['baseline']]}' by {one['metric']}"
        + (
            ""
            if one["low"] is None
            else f" (difference {one['value']:+.4f}, 95% [{one['low']:+.4f}, {one['high']:+.4f}])"
        )
        for one in evaluation["verdicts"]
        if one["verdict"] != "better"
    ]


def read_json(path: StorePath) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
