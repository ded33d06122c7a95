"""Charts as SVG for an HTML page: with text elements, without scripts, with colours from the page's style sheet.

A chart is drawn at the width of a phone and scales up with the page, so its text stays readable. Colours are CSS
variables (`--ink`, `--soft`, `--grid`, `--c1` to `--c5`), so one drawing fits the light and the dark page. The same
numbers give the same SVG, whatever the user's matplotlib settings.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from reco_platform.core.arrays import Int64Array

WIDTH = 360

INK, SOFT, GRID = "#000001", "#000002", "#000003"
SERIES = ("#000011", "#000012", "#000013", "#000014", "#000015")
VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--grid"} | {
    colour: f"--c{number}" for number, colour in enumerate(SERIES, 1)
}
"""Placeholder colours for matplotlib; embeddable_svg replaces them by CSS variables."""

MARKERS = ("o", "s", "^", "D", "v", "P")
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reco-platform",
    "text.parse_math": False,
    "font.size": 12.0,
    "font.family": "DejaVu Sans",  # comes with matplotlib: text is measured alike on every machine
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 11.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
DODGE = 0.16
"""Vertical distance between the points of two systems in a group of height 1."""

HEATMAP_LIGHTEST, HEATMAP_DARKEST = 0.06, 0.5
"""Opacity of a heat map's cells: at most half, so that the text in them is readable on both pages."""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: prefix of its ids, unique on the page.
        title: in a few words.
        description: what it shows, for screen readers.
        svg: the drawing.
    """

    name: str
    title: str
    description: str
    svg: str


@dataclass(frozen=True)
class NamedValue:
    """A value with a name; `low` and `high` are the ends of its interval, None if there is none."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def draw_chart(name: str, title: str, description: str, height: float, draw: Callable[[Axes], None]) -> Chart:
    """Creates a chart.

    Args:
        name, title, description: see Chart.
        height: in pixels; the width is WIDTH.
        draw: draws on the axes that it is given.
    """
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        axes.tick_params(length=0)
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return Chart(name, title, description, embeddable_svg(out.getvalue(), name, title, description, height))


def embeddable_svg(text: str, name: str, title: str, description: str, height: float) -> str:
    """Makes matplotlib's SVG part of a page: accessible name, unique ids, and the page's colours and font."""
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)  # would apply to the whole page
    body = re.sub(r'<g id="[^"]*"/>', "", body)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    body = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = body.replace("font-family: 'DejaVu Sans'", "font-family: var(--font)")
    body = re.sub("|".join(VARIABLES), lambda match: f"var({VARIABLES[match[0]]})", body)
    body = re.sub(r">\s+<", "><", body)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'width="{WIDTH}" height="{height:g}" viewBox="0 0 {WIDTH} {height:g}" '
        f'aria-labelledby="{name}-title {name}-desc">'
    )
    names = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    return head + names + body.strip()


# --- numbers on axes


def format_as_counts(axis: Any) -> None:
    """Formats ticks as whole numbers with thousands separators."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def use_round_ticks(axis: Any, most: int = 4) -> None:
    """Limits the ticks to a few round numbers."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))


def grid_along(axes: Axes, direction: Literal["x", "y"]) -> None:
    """Draws grid lines for one axis only."""
    axes.grid(False)
    axes.grid(True, axis=direction)


# --- charts of runs


def interval_chart(name: str, title: str, description: str, values: Sequence[NamedValue], unit: str) -> Chart:
    """Values with their intervals, one below the other; the first is highlighted, and a line marks its value."""

    def draw(axes: Axes) -> None:
        grid_along(axes, "x")
        axes.axvline(values[0].value, color=SERIES[0], linewidth=1, linestyle=(0, (3, 3)))
        for row, value in enumerate(values):
            colour = SERIES[0] if row == 0 else SOFT
            if value.low is not None and value.high is not None:
                axes.plot([value.low, value.high], [row, row], color=colour, linewidth=3, solid_capstyle="butt")
            axes.plot([value.value], [row], MARKERS[0 if row == 0 else 1], color=colour, markersize=7)
        axes.set_yticks(range(len(values)), [value.name for value in values])
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.margins(x=0.08)
        axes.set_xlabel(unit)
        use_round_ticks(axes.xaxis)

    return draw_chart(name, title, description, 56 + 26 * len(values), draw)


def month_chart(name: str, title: str, description: str, counts: Sequence[tuple[int, int, int]]) -> Chart:
    """Ratings by month.

    Args:
        name, title, description: see Chart.
        counts: (year, month, ratings) in order, without gaps.
    """

    def draw(axes: Axes) -> None:
        grid_along(axes, "y")
        moments = [year + (month - 0.5) / 12 for year, month, _ in counts]
        heights = [count for _, _, count in counts]
        axes.fill_between(moments, heights, color=SERIES[0], alpha=0.25, linewidth=0)
        axes.plot(moments, heights, color=SERIES[0], linewidth=1.5, marker="o" if len(counts) < 3 else "")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("ratings per month")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        format_as_counts(axes.yaxis)
        use_round_ticks(axes.yaxis)

    return draw_chart(name, title, description, 210, draw)


def column_chart(name: str, title: str, description: str, bars: Mapping[str, int], units: tuple[str, str]) -> Chart:
    """Vertical bars; `units` are the labels of the horizontal and the vertical axis."""

    def draw(axes: Axes) -> None:
        grid_along(axes, "y")
        axes.bar(range(len(bars)), list(bars.values()), color=SERIES[0], width=0.8)
        axes.set_xticks(range(len(bars)), list(bars))
        axes.set_xlabel(units[0])
        axes.set_ylabel(units[1])
        format_as_counts(axes.yaxis)
        use_round_ticks(axes.yaxis)

    return draw_chart(name, title, description, 210, draw)


def bar_chart(name: str, title: str, description: str, lengths: Mapping[str, int]) -> Chart:
    """Horizontal bars, each with its number."""

    def draw(axes: Axes) -> None:
        axes.grid(False)
        drawn = axes.barh(range(len(lengths)), list(lengths.values()), color=SERIES[0], height=0.7)
        axes.bar_label(drawn, labels=[f"{length:,}" for length in lengths.values()], padding=4)
        axes.set_yticks(range(len(lengths)), list(lengths))
        axes.set_ylim(len(lengths) - 0.5, -0.5)
        axes.margins(x=0.16)
        axes.xaxis.set_major_locator(NullLocator())
        axes.spines[["bottom", "left"]].set_visible(False)

    return draw_chart(name, title, description, 20 + 22 * len(lengths), draw)


def long_tail_chart(name: str, title: str, description: str, counts: Int64Array) -> Chart:
    """Ratings of each movie by its rank in popularity, both on logarithmic axes.

    Args:
        name, title, description: see Chart.
        counts: at least 1, falling, shape (movies,).
    """

    def draw(axes: Axes) -> None:
        ranks = np.unique(np.geomspace(1, len(counts), 120).round().astype(int))
        axes.loglog(ranks, counts[ranks - 1], color=SERIES[0], linewidth=2, marker="o" if len(ranks) < 3 else "")
        axes.set_xlabel("movies, most rated first")
        axes.set_ylabel("ratings of the movie")
        axes.minorticks_off()
        format_as_counts(axes.xaxis)
        format_as_counts(axes.yaxis)

    return draw_chart(name, title, description, 210, draw)


def share_chart(name: str, title: str, description: str, rows: Mapping[str, tuple[float, float]]) -> Chart:
    """A bar for each row, divided into known and unknown.

    Args:
        name, title, description: see Chart.
        rows: by name the two shares, which sum to 1.
    """

    def draw(axes: Axes) -> None:
        axes.grid(False)
        names = list(rows)
        known = [rows[one][0] for one in names]
        axes.barh(range(len(names)), known, color=SERIES[0], alpha=0.45, height=0.6)
        axes.barh(range(len(names)), [1 - one for one in known], left=known, color=GRID, height=0.6)
        for number, one in enumerate(known):
            middle = one / 2 if one > 0.5 else (1 + one) / 2
            axes.text(middle, number, f"{one:.1%} known", ha="center", va="center")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_locator(NullLocator())
        axes.spines[["bottom", "left"]].set_visible(False)

    return draw_chart(name, title, description, 16 + 36 * len(rows), draw)


def line_chart(
    name: str, title: str, description: str, lines: Mapping[str, Mapping[int, float]], units: tuple[str, str]
) -> Chart:
    """Lines over whole numbers, distinguished by colour, marker and legend.

    Args:
        name, title, description: see Chart.
        lines: by name the values by whole number.
        units: labels of both axes.
    """

    def draw(axes: Axes) -> None:
        for number, (one, points) in enumerate(lines.items()):
            colour = SERIES[number] if number < len(SERIES) else SOFT
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(list(points), list(points.values()), color=colour, marker=marker, markersize=5, label=one)
        axes.set_xlabel(units[0])
        axes.set_ylabel(units[1])
        ticks = sorted({x for points in lines.values() for x in points})
        axes.set_xticks(ticks) if len(ticks) < 8 else axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        use_round_ticks(axes.yaxis)
        if len(lines) > 1:
            axes.figure.legend(loc="outside lower center", ncols=2)

    height = 210 if len(lines) == 1 else 214 + 17 * math.ceil(len(lines) / 2)
    return draw_chart(name, title, description, height, draw)


def group_chart(
    name: str, title: str, description: str, values: Mapping[str, Mapping[str, float | None]], unit: str
) -> Chart:
    """A row of points for each group, one for each system.

    Args:
        name, title, description: see Chart.
        values: by group, then by system; None where there is no value.
        unit: label of the axis.
    """

    def draw(axes: Axes) -> None:
        grid_along(axes, "x")
        systems = list(dict.fromkeys(system for row in values.values() for system in row))
        for number, system in enumerate(systems):
            points = [
                (value, group) for group, row in enumerate(values.values()) if (value := row.get(system)) is not None
            ]
            offset = DODGE * (number - (len(systems) - 1) / 2)  # keeps equal values visible
            across, along = [value for value, _ in points], [group + offset for _, group in points]
            colour = SERIES[number] if number < len(SERIES) else SOFT
            axes.plot(across, along, MARKERS[number % len(MARKERS)], color=colour, markersize=7, label=system)
        axes.set_yticks(range(len(values)), list(values))
        axes.set_yticks([group + 0.5 for group in range(len(values) - 1)], minor=True)
        axes.grid(True, axis="y", which="minor")
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.margins(x=0.08)
        axes.set_xlabel(unit)
        use_round_ticks(axes.xaxis)
        axes.figure.legend(loc="outside lower center", ncols=2)

    systems = {system for row in values.values() for system in row}
    return draw_chart(name, title, description, 66 + 44 * len(values) + 17 * math.ceil(len(systems) / 2), draw)


# --- charts of sweeps


def heat_map(
    name: str,
    title: str,
    description: str,
    cells: Mapping[tuple[str, str], float],
    axes_names: tuple[str, str],
    *,
    smaller_is_better: bool,
    noise: float = 0.0,
) -> Chart:
    """A value for each pair of values of two axes; the best is the darkest, and framed.

    Args:
        name, title, description: see Chart.
        cells: by (down, across); a pair may be missing.
        axes_names: of the vertical and of the horizontal axis.
        smaller_is_better: whether smaller values are better.
        noise: values that differ from the best by no more have its shade.
    """
    down, across = (sorted({pair[side] for pair in cells}, key=sort_key) for side in (0, 1))
    best, worst = min(cells.values()), max(cells.values())
    if not smaller_is_better:
        best, worst = worst, best

    def draw(axes: Axes) -> None:
        axes.grid(False)
        for (row, column), value in cells.items():
            strength = (value - worst) / (best - worst) if abs(value - best) > noise else 1.0
            alpha = HEATMAP_LIGHTEST + strength * (HEATMAP_DARKEST - HEATMAP_LIGHTEST)
            x, y = across.index(column), down.index(row)
            axes.bar(x, 0.96, bottom=y - 0.48, width=0.96, color=SERIES[0], alpha=alpha)
            if value == best:
                axes.bar(x, 0.96, bottom=y - 0.48, width=0.96, fill=False, edgecolor=INK, linewidth=2)
            if len(across) <= 7:
                axes.text(x, y, f"{value:.4f}" if len(across) <= 5 else f"{value:.3f}", ha="center", va="center")
        axes.set_xticks(range(len(across)), across)
        axes.set_yticks(range(len(down)), down)
        axes.set_xlim(-0.5, len(across) - 0.5)
        axes.set_ylim(len(down) - 0.5, -0.5)
        axes.set_ylabel(axes_names[0])
        axes.set_xlabel(axes_names[1])
        axes.spines[["bottom", "left"]].set_visible(False)

    return draw_chart(name, title, description, 56 + 34 * len(down), draw)


def sort_key(text: str) -> tuple[float, str]:
    """Sorts numbers by value, before other texts."""
    try:
        return float(text), text
    except ValueError:
        return math.inf, text


def parallel_coordinates(
    name: str,
    title: str,
    description: str,
    scales: Mapping[str, Mapping[str, float]],
    trials: Sequence[Sequence[float]],
) -> Chart:
    """A line for each trial through its value on every scale; the first trial is highlighted, on top of the others.

    Args:
        name, title, description: see Chart.
        scales: by name the ticks and their heights, from 0 to 1.
        trials: the heights of each trial, one for each scale.
    """

    def draw(axes: Axes) -> None:
        axes.grid(False)
        for number, heights in reversed(list(enumerate(trials))):
            best = number == 0
            colour, width, alpha = (SERIES[0], 3.0, 1.0) if best else (SOFT, 1.2, 0.35)
            axes.plot(heights, color=colour, linewidth=width, alpha=alpha)
        for x, marks in enumerate(scales.values()):
            axes.axvline(x, color=GRID, zorder=0)
            for mark, height in marks.items():
                axes.text(x, height + 0.02, mark, ha="center", va="bottom", fontsize=11)
        axes.set_xticks(range(len(scales)), list(scales), rotation=20 if len(scales) > 4 else 0)
        axes.set_xlim(-0.4, len(scales) - 0.6)
        axes.set_ylim(-0.03, 1.1)
        axes.yaxis.set_major_locator(NullLocator())
        axes.spines[["bottom", "left"]].set_visible(False)

    return draw_chart(name, title, description, 270, draw)


def scatter_chart(
    name: str, title: str, description: str, points: Sequence[tuple[float, float]], units: tuple[str, str]
) -> Chart:
    """Points; the first is highlighted."""

    def draw(axes: Axes) -> None:
        rest = points[1:]
        axes.plot([x for x, _ in rest], [y for _, y in rest], MARKERS[1], color=SOFT, markersize=6)
        axes.plot(*points[0], MARKERS[0], color=SERIES[0], markersize=9)
        axes.set_xlabel(units[0])
        axes.set_ylabel(units[1])
        axes.margins(0.08)
        axes.set_xlim(left=0)
        use_round_ticks(axes.xaxis)
        use_round_ticks(axes.yaxis)

    return draw_chart(name, title, description, 230, draw)
