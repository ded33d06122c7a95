"""The report of a benchmark: tables of medians, ratios and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import common

Runs = Mapping[str, Sequence[Mapping[str, Any]]]
Seconds = Callable[[Mapping[str, Any]], float]


def whole(one: Mapping[str, Any]) -> float:
    return float(one["seconds"])


def stages(*names: str) -> Seconds:
    """The sum of the seconds of some stages."""
    return lambda one: sum(one["stages"][name] for name in names)


@dataclass(frozen=True)
class Comparison:
    """One row: seconds of ours and of another contender, and the target for their ratio.

    Attributes:
        what: the work that is compared.
        ours: name and seconds of our contender.
        other: name and seconds of the other contender.
        target: minimum ratio; None if there is no target.
    """

    what: str
    ours: tuple[str, Seconds]
    other: tuple[str, Seconds]
    target: float | None = None


SEEN_EXCLUDED = "seen left out"
OUR_ETL = ("ours", stages("silver_ratings", "interactions"))
SPARK_ETL = stages("silver", "split")
COMPARISONS = (
    Comparison("whole pipeline", ("ours", whole), ("spark", whole), 6),
    Comparison("whole pipeline", ("ours", whole), ("spark-openblas", whole)),
    Comparison("ETL: CSV to silver", ("ours", stages("silver_ratings")), ("spark", stages("silver")), 2),
    Comparison("ETL: CSV to silver, process start in ours", ("ours", stages("silver_ratings job")),
               ("spark", stages("silver"))),
    Comparison("ETL: CSV to train and test rows", OUR_ETL, ("spark", SPARK_ETL)),
    Comparison("training", ("ours", stages("train_als")), ("spark", stages("train")), 22),
    Comparison("training", ("ours", stages("train_als")), ("spark-openblas", stages("train")), 16),
    Comparison("training, dataset built", ("ours", stages("train_als")), ("lenskit", stages("build", "fit")), 3.5),
    Comparison("training, other problem", ("ours", stages("train_als")), ("implicit", stages("implicit ALS"))),
    Comparison("top-N written", ("ours", stages("recommend")), ("spark", stages("recommend")), 14),
    *(
        Comparison(f"top-N alone, {kind} factors, {seen}", ("ours-topn", stages(f"topk {kind}, {seen}")),
                   ("implicit", stages(f"topk {kind}, {seen}")), 1.4 if seen == SEEN_EXCLUDED else None)
        for kind in ("trained", "isotropic") for seen in (SEEN_EXCLUDED, "seen kept")
    ),
)  # fmt: skip
LARGEST_MEMORY_GB = 8
LARGEST_DEMO_SECONDS = 120


def report(found: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    model = ", ".join(f"{key} {value}" for key, value in found["model"].items())
    parts = [
        f"{found['dataset']}: medians of {found['repeats']} interleaved runs, {model}; "
        f"{common.machine_line(found['machine'])}.\n",
        comparisons(found["runs"]),
        contenders(found["runs"]),
        all_stages(found["runs"]),
        failures(found["runs"]),
    ]
    return "\n".join(part for part in parts if part)


def good(runs: Runs, name: str) -> list[Mapping[str, Any]]:
    return [one for one in runs.get(name, ()) if not one["failure"]]


def median_seconds(runs: Runs, side: tuple[str, Seconds]) -> float | None:
    """The median of a contender's seconds over its successful runs."""
    name, seconds = side
    return common.median(seconds(one) for one in good(runs, name))


def comparisons(runs: Runs) -> str:
    rows = []
    for one in COMPARISONS:
        if one.ours[0] not in runs or one.other[0] not in runs:
            continue
        ours, other = median_seconds(runs, one.ours), median_seconds(runs, one.other)
        ratio = other / ours if ours and other else None
        target = f"at least {one.target:g}" if one.target else None
        rows.append([one.what, one.other[0], ours, other, ratio, target, target_text(ratio, one.target)])
    return common.table(["", "against", "ours, s", "theirs, s", "times as fast", "target", ""], rows) if rows else ""


def target_text(ratio: float | None, target: float | None) -> str:
    if target is None or ratio is None:
        return ""
    return "met" if ratio >= target else "missed"


def contenders(runs: Runs) -> str:
    """Time, memory and quality of each contender."""
    rows = []
    for name, all_runs in runs.items():
        done = good(runs, name)
        peak = common.median(one["peak_memory_mb"] / 1024 for one in done)
        time = median_seconds(runs, (name, whole))
        rmse = common.median(one["rmse"] for one in done if "rmse" in one)
        rows.append([
            name, time, common.median(one["cpu_seconds"] for one in done), peak, limit(name, time, peak),
            f"{rmse:.4f}" if rmse else None, common.median(one["warm_rows"] for one in done if "warm_rows" in one),
            f"{len(done)} of {len(all_runs)}",
        ])  # fmt: skip
    heads = [
        "",
        "wall, s",
        "CPU, s",
        "peak memory, GB",
        "limit",
        "RMSE, warm test rows",
        "rows",
        "successful runs",
    ]
    return common.table(heads, rows)


def limit(name: str, seconds: float | None, peak_gb: float | None) -> str | None:
    """The limit of one of our contenders, and whether it is met."""
    limits = {"ours": (peak_gb, LARGEST_MEMORY_GB, "GB"), "ours-demo": (seconds, LARGEST_DEMO_SECONDS, "s")}
    if name not in limits:
        return None
    value, largest, unit = limits[name]
    result = "" if value is None else ": met" if value <= largest else ": missed"
    return f"{largest} {unit}{result}"


def all_stages(runs: Runs) -> str:
    rows = [
        [name, stage, median_seconds(runs, (name, stages(stage)))]
        for name in runs
        for stage in (good(runs, name) or [{"stages": {}}])[0]["stages"]
    ]
    return common.table(["", "stage", "s"], rows) if rows else ""


def failures(runs: Runs) -> str:
    lines = [
        f"- {name}, run {number + 1}: {one['failure']}" + (f" ({one['log']})" if "log" in one else "")
        for name, done in runs.items()
        for number, one in enumerate(done)
        if one["failure"]
    ]
    return "Runs that failed:\n" + "\n".join(lines) + "\n" if lines else ""
