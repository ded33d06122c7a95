"""The HTML page of a sweep: leaderboard, effect of the axes on the score, and cost of the trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reco_platform.reports import charts
from reco_platform.reports.charts import Chart, NamedValue
from reco_platform.reports.html import Table, format_config_value, render
from reco_platform.reports.tied_trials import tie_text, tied_with_best

Trial = Mapping[str, Any]


def sweep_page(leaderboard: Mapping[str, Any]) -> str:
    """Renders the page of a sweep.

    Args:
        leaderboard: sweep, dataset, metric, smaller_is_better, axes and trials, as in leaderboard.json.
    """
    good = [trial for trial in leaderboard["trials"] if trial["error"] is None]
    return render(
        "sweep.html.j2",
        leaderboard=leaderboard,
        best=good[0] if good else None,
        failed=[trial for trial in leaderboard["trials"] if trial["error"] is not None],
        charts=sweep_charts(leaderboard, good) if good else [],
        table=table(leaderboard, good),
        tie=tie_text(leaderboard),
    )


def varied_axes(trials: Sequence[Trial], axes: Sequence[str]) -> list[str]:
    """The axes with several values among the trials."""
    return [axis for axis in axes if len({format_config_value(trial["params"].get(axis)) for trial in trials}) > 1]


def setting_text(trial: Trial, axes: Sequence[str]) -> str:
    return ", ".join(f"{axis} {format_config_value(trial['params'].get(axis))}" for axis in axes)


def table(leaderboard: Mapping[str, Any], good: Sequence[Trial]) -> Table:
    """The trials from best to worst, without those that failed."""
    axes, tied = list(leaderboard["axes"]), {trial["place"] for trial in tied_with_best(good)}
    head = ["Place", *axes, leaderboard["metric"], "95% interval", "Iterations", "Seconds", "Peak memory, MB", "Trial"]
    rows = [
        [
            f"{trial['place']}, tied" if len(tied) > 1 and trial["place"] in tied else str(trial["place"]),
            *(format_config_value(trial["params"].get(axis)) for axis in axes),
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


def sweep_charts(leaderboard: Mapping[str, Any], good: Sequence[Trial]) -> list[Chart]:
    """The best trials, the effect of the axes (heat map of two, parallel coordinates of more), the curve, and cost."""
    axes = varied_axes(good, list(leaderboard["axes"]))
    drawn = [best_trials_chart(leaderboard, good, axes)]
    if len(axes) == 2:
        drawn.append(heat_map(leaderboard, good, axes))
    elif len(axes) > 2:
        drawn.append(parallel(leaderboard, good, axes))
    with_curve = [trial for trial in good if len(trial["curve"]) > 1]
    return [
        *drawn,
        *([iteration_chart(leaderboard, with_curve[0], axes)] if with_curve else []),
        *([cost(leaderboard, good)] if len(good) > 1 else []),
    ]


SHOWN_BEST = 12


def best_trials_chart(leaderboard: Mapping[str, Any], good: Sequence[Trial], axes: Sequence[str]) -> Chart:
    """The best trials with their intervals."""
    values = [
        NamedValue(setting_text(trial, axes) or trial["trial"], trial["value"], trial["low"], trial["high"])
        for trial in good[:SHOWN_BEST]
    ]
    words = f"The best {len(values)} trials, from {values[0].value:.4f} to {values[-1].value:.4f}, with 95% intervals."
    better = "less" if leaderboard["smaller_is_better"] else "more"
    unit = f"{leaderboard['metric']}, {better} is better"
    return charts.interval_chart("best", "The best trials", words, short_names(values, good, axes), unit)


def short_names(values: Sequence[NamedValue], good: Sequence[Trial], axes: Sequence[str]) -> list[NamedValue]:
    """The same values named by parameters without keys, if there are too many axes for long names."""
    if len(axes) < 3:
        return list(values)
    names = [", ".join(format_config_value(trial["params"].get(axis)) for axis in axes) for trial in good]
    return [NamedValue(name, value.value, value.low, value.high) for name, value in zip(names, values, strict=False)]


def heat_map(leaderboard: Mapping[str, Any], good: Sequence[Trial], axes: Sequence[str]) -> Chart:
    down, across = axes
    cells = {
        (format_config_value(trial["params"].get(down)), format_config_value(trial["params"].get(across))): trial[
            "value"
        ]
        for trial in good
    }
    tied = tied_with_best(good)
    words = f"The best is {good[0]['value']:.4f}, at {setting_text(good[0], axes)}."
    if len(tied) > 1:
        words += f" {len(tied):,} of {len(good):,} lie within its 95% interval and have the same shade."
    noise = max((abs(trial["value"] - good[0]["value"]) for trial in tied), default=0.0)
    title = f"{leaderboard['metric']} by {down} and {across}"
    return charts.heat_map(
        "axes",
        title,
        words,
        cells,
        (down, across),
        smaller_is_better=leaderboard["smaller_is_better"],
        noise=noise,
    )


def parallel(leaderboard: Mapping[str, Any], good: Sequence[Trial], axes: Sequence[str]) -> Chart:
    """Every trial as a line through its parameters to its score; better scores are higher."""
    scales: dict[str, dict[str, float]] = {}
    for axis in axes:
        values = sorted({format_config_value(trial["params"].get(axis)) for trial in good}, key=charts.sort_key)
        scales[axis] = {value: index / (len(values) - 1) for index, value in enumerate(values)}
    best, worst = good[0]["value"], good[-1]["value"]
    heights = [
        [
            *(scales[axis][format_config_value(trial["params"].get(axis))] for axis in axes),
            (trial["value"] - worst) / (best - worst) if best != worst else 1.0,
        ]
        for trial in good
    ]
    scales[leaderboard["metric"]] = {f"{worst:.4f}": 0.0, f"{best:.4f}": 1.0}
    words = (
        f"A line for each of {len(good):,} trials; the best, {best:.4f}, goes through {setting_text(good[0], axes)}."
    )
    return charts.parallel_coordinates("axes", f"{leaderboard['metric']} and its axes", words, scales, heights)


def iteration_chart(leaderboard: Mapping[str, Any], trial: Trial, axes: Sequence[str]) -> Chart:
    """The score after each iteration of the best trial with scores of several iterations."""
    points = {score["iteration"]: score["value"] for score in trial["curve"]}
    last, best = trial["curve"][-1], trial["iteration"]
    words = (
        f"Of {setting_text(trial, axes) or trial['trial']}: {trial['value']:.4f} after {best} iterations, which counts"
    )
    words += f", and {last['value']:.4f} after {last['iteration']}." if last["iteration"] != best else "."
    title = "Validation score by iteration"
    return charts.line_chart(
        "curve", title, words, {leaderboard["metric"]: points}, ("iteration", leaderboard["metric"])
    )


def cost(leaderboard: Mapping[str, Any], good: Sequence[Trial]) -> Chart:
    points = [(float(trial["seconds"]), float(trial["value"])) for trial in good]
    words = f"The best trial took {points[0][0]:,.1f} seconds; all took {sum(x for x, _ in points):,.1f} together."
    return charts.scatter_chart("cost", "Cost against quality", words, points, ("seconds", leaderboard["metric"]))
