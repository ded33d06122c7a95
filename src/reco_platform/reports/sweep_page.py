"""The page of a sweep: its leaderboard, what the axes do to the score, and what the trials cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reco_platform.reports import charts
from reco_platform.reports.charts import Chart, Line
from reco_platform.reports.html import Table, rendered, shown

Trial = Mapping[str, Any]


def sweep_page(found: Mapping[str, Any]) -> str:
    """The page of a sweep, one HTML file that needs nothing else.

    Args:
        found: sweep, dataset, metric, smaller_is_better, axes and trials, as leaderboard.json has them.
    """
    good = [trial for trial in found["trials"] if trial["error"] is None]
    return rendered(
        "sweep.html.j2",
        found=found,
        best=good[0] if good else None,
        failed=[trial for trial in found["trials"] if trial["error"] is not None],
        charts=charts_of(found, good) if good else [],
        table=table(found, good),
    )


def varied(trials: Sequence[Trial], axes: Sequence[str]) -> list[str]:
    """The axes that have several values among the trials."""
    return [axis for axis in axes if len({shown(trial["params"].get(axis)) for trial in trials}) > 1]


def setting(trial: Trial, axes: Sequence[str]) -> str:
    return ", ".join(f"{axis} {shown(trial['params'].get(axis))}" for axis in axes)


def table(found: Mapping[str, Any], good: Sequence[Trial]) -> Table:
    """The trials from best to worst; those that failed stand elsewhere."""
    axes = list(found["axes"])
    head = ["Place", *axes, found["metric"], "95% interval", "Iterations", "Seconds", "Peak memory, MB", "Trial"]
    rows = [
        [
            str(trial["place"]),
            *(shown(trial["params"].get(axis)) for axis in axes),
            f"{trial['value']:.4f}",
            "none" if trial["low"] is None else f"{trial['low']:.4f} to {trial['high']:.4f}",
            f"{trial['iteration']:,}",
            f"{trial['seconds']:,.1f}",
            "-" if trial["peak_memory_mb"] is None else f"{trial['peak_memory_mb']:,.0f}",
            trial["trial"],
        ]
        for trial in good
    ]
    return Table("The trials, best first", head, rows)


# --- charts


def charts_of(found: Mapping[str, Any], good: Sequence[Trial]) -> list[Chart]:
    """What the axes do (by their number: intervals, a heat map, parallel coordinates), curves, and cost."""
    axes = varied(good, list(found["axes"]))
    drawn = [best_ones(found, good, axes)]
    if len(axes) == 2:
        drawn.append(heat_map(found, good, axes))
    elif len(axes) > 2:
        drawn.append(parallel(found, good, axes))
    curved = [trial for trial in good if len(trial["curve"]) > 1]
    return [
        *drawn,
        *([learning(found, curved[0], axes)] if curved else []),
        *([cost(found, good)] if len(good) > 1 else []),
    ]


SHOWN_BEST = 12


def best_ones(found: Mapping[str, Any], good: Sequence[Trial], axes: Sequence[str]) -> Chart:
    """The best trials with their intervals."""
    lines = [
        Line(setting(trial, axes) or trial["trial"], trial["value"], trial["low"], trial["high"])
        for trial in good[:SHOWN_BEST]
    ]
    words = f"The best {len(lines)} trials, from {lines[0].value:.4f} to {lines[-1].value:.4f}, with 95% intervals."
    better = "less" if found["smaller_is_better"] else "more"
    unit = f"{found['metric']}, {better} is better"
    return charts.intervals("best", "The best trials", words, short_names(lines, good, axes), unit)


def short_names(lines: Sequence[Line], good: Sequence[Trial], axes: Sequence[str]) -> list[Line]:
    """The same lines named by their values alone where the names of many axes would leave no room."""
    if len(axes) < 3:
        return list(lines)
    names = [", ".join(shown(trial["params"].get(axis)) for axis in axes) for trial in good]
    return [Line(name, line.value, line.low, line.high) for name, line in zip(names, lines, strict=False)]


def heat_map(found: Mapping[str, Any], good: Sequence[Trial], axes: Sequence[str]) -> Chart:
    down, across = axes
    cells = {(shown(trial["params"].get(down)), shown(trial["params"].get(across))): trial["value"] for trial in good}
    words = f"The best is {good[0]['value']:.4f}, at {setting(good[0], axes)}."
    title = f"{found['metric']} by {down} and {across}"
    return charts.heat_map("axes", title, words, cells, (down, across), smaller_is_better=found["smaller_is_better"])


def parallel(found: Mapping[str, Any], good: Sequence[Trial], axes: Sequence[str]) -> Chart:
    """Every trial as a line through its values to its score, better ones ending higher."""
    scales: dict[str, dict[str, float]] = {}
    for axis in axes:
        values = sorted({shown(trial["params"].get(axis)) for trial in good}, key=charts.in_order)
        scales[axis] = {value: place / (len(values) - 1) for place, value in enumerate(values)}
    best, worst = good[0]["value"], good[-1]["value"]
    heights = [
        [
            *(scales[axis][shown(trial["params"].get(axis))] for axis in axes),
            (trial["value"] - worst) / (best - worst) if best != worst else 1.0,
        ]
        for trial in good
    ]
    scales[found["metric"]] = {f"{worst:.4f}": 0.0, f"{best:.4f}": 1.0}
    words = f"A line for each of {len(good):,} trials; the best, {best:.4f}, goes through {setting(good[0], axes)}."
    return charts.parallel("axes", f"{found['metric']} and its axes", words, scales, heights)


def learning(found: Mapping[str, Any], trial: Trial, axes: Sequence[str]) -> Chart:
    """The score after each iteration of the best trial that has a curve."""
    points = {score["iteration"]: score["value"] for score in trial["curve"]}
    last, best = trial["curve"][-1], trial["iteration"]
    words = f"Of {setting(trial, axes) or trial['trial']}: {trial['value']:.4f} after {best} iterations, which counts"
    words += f", and {last['value']:.4f} after {last['iteration']}." if last["iteration"] != best else "."
    title = "Validation score by iteration"
    return charts.curves("curve", title, words, {found["metric"]: points}, ("iteration", found["metric"]))


def cost(found: Mapping[str, Any], good: Sequence[Trial]) -> Chart:
    points = [(float(trial["seconds"]), float(trial["value"])) for trial in good]
    words = f"The best trial took {points[0][0]:,.1f} seconds; all took {sum(x for x, _ in points):,.1f} together."
    return charts.scatter("cost", "Cost against quality", words, points, ("seconds", found["metric"]))
