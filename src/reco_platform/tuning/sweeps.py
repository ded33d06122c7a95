"""The grid of a sweep, the cells to try, and the fits that they need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

from reco_platform.config.load import Sources, environment_and_defaults, load_config, overrides_as_sources, validated
from reco_platform.config.model import AXES, Config
from reco_platform.core.errors import ConfigError
from reco_platform.core.hashing import canonical_json, short_hash
from reco_platform.models.als import training_engine

RANKING_ONLY = ("relevance", "relevant_rating")
LIMITS = ("max_trials", "sweep_sample", "sweep_seed")
SHOWN_PROBLEMS = 5

NANOSECONDS = 3.0
"""Time per rating, factor and iteration, measured with ml-latest-small; a rough estimate for other data."""

SECONDS_OF_A_FIT = 2.5
"""Additional time of a fit: starting Python twice, and scoring."""


@dataclass(frozen=True)
class Fit:
    """One training run on the train fold.

    Attributes:
        id: short hash of the parameters that shape the model.
        params: those, and the parameters of its evaluation.
    """

    id: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One cell of the grid.

    Attributes:
        values: of the axes.
        config: the whole configuration.
        fit: id of its fit, which other cells may share.
    """

    values: dict[str, Any]
    config: Config
    fit: str


@dataclass(frozen=True)
class Sweep:
    """A sweep: see `expand`.

    Attributes:
        axes: the values of each axis, by key.
        size: cells of the whole grid.
        cells: the cells to try.
        fits: by id.
    """

    axes: dict[str, list[Any]]
    size: int
    cells: tuple[Cell, ...]
    fits: dict[str, Fit]

    @property
    def base(self) -> Config:
        """A configuration with one value for each key: that of the first cell."""
        return self.cells[0].config

    @property
    def trials(self) -> list[tuple[str, int]]:
        """The distinct pairs of fit and max_iter of the cells."""
        return list(dict.fromkeys((cell.fit, cell.config.max_iter) for cell in self.cells))

    @property
    def name(self) -> str:
        fits = {name: fit.params for name, fit in self.fits.items()}
        return self.base.sweep_name or short_hash([sorted(self.trials), fits])


def expand(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Sweep:
    """The sweep for a command line; every cell is checked like the configuration of a run.

    Args:
        given: values from the command line and its config files; a list of hyperparameter values is an axis.
        environ: environment variables.

    Raises:
        ConfigError: for a key or value that is not allowed in any cell, or more trials than `max_trials`.
    """
    elsewhere, axes = environment_and_defaults(environ), sweep_axes(given)
    fixed = {key: value for key, value in given.items() if key not in axes}
    sources = {**elsewhere, **overrides_as_sources(fixed)}
    limits = validated({key: sources[key] for key in LIMITS if key in sources})
    size = prod(map(len, axes.values()))
    cells = checked_cells([cell_values(axes, number) for number in cells_to_try(limits, size)], sources)
    fits = fits_by_key(cells)
    return Sweep(
        axes,
        size,
        tuple(Cell(values, config, fits[fit_key(config)].id) for values, config in cells),
        {fit.id: fit for fit in fits.values()},
    )


def sweep_axes(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The keys with several values.

    Raises:
        ConfigError: for a list without values.
    """
    axes = {key: values for key in AXES if (values := list_values(given.get(key))) is not None}
    for key, values in axes.items():
        if not values:
            raise ConfigError(f"{key} is a list without values", f"for example --config {key}=10,50")
    return axes


def list_values(value: Any) -> list[Any] | None:
    """The distinct values of a list, also of a text such as 10,50; None for a single value."""
    if isinstance(value, str) and "," in value:
        value = [part.strip() for part in value.split(",")]
    return list(dict.fromkeys(value)) if isinstance(value, list | tuple) else None


def cells_to_try(limits: Config, size: int) -> Sequence[int]:
    """The numbers of the cells to try: all, or a seeded random sample.

    Raises:
        ConfigError: if there are more than `max_trials`.
    """
    count = min(size, limits.sweep_sample or size)
    if count > limits.max_trials:
        raise ConfigError(
            f"the grid has {size:,} trials{'' if count == size else f', of which {count:,} are to be tried'}, and "
            f"max_trials is {limits.max_trials:,}",
            f"give fewer values, a random sample (sweep_sample={min(20, limits.max_trials)}) or a larger max_trials",
        )
    if count == size:
        return range(size)
    return sorted(Random(limits.sweep_seed).sample(range(size), count))  # noqa: S311  # not for cryptography


def cell_values(axes: Mapping[str, Sequence[Any]], number: int) -> dict[str, Any]:
    """The values of a cell of the grid; the last axis changes fastest."""
    values: dict[str, Any] = {}
    for key in reversed(list(axes)):
        number, index = divmod(number, len(axes[key]))
        values[key] = axes[key][index]
    return dict(reversed(values.items()))


def cell_config(sources: Sources, values: Mapping[str, Any]) -> Config:
    found = validated({**sources, **overrides_as_sources(values)})
    training_engine.choose(found.model_dump(), 0)
    return found


def checked_cells(grid: Iterable[dict[str, Any]], sources: Sources) -> list[tuple[dict[str, Any], Config]]:
    """The values of each cell, as the config model parses them, and its configuration.

    Raises:
        ConfigError: with the distinct problems of all cells, each with one cell that has it.
    """
    cells: list[tuple[dict[str, Any], Config]] = []
    problems: dict[str, dict[str, Any]] = {}
    for values in grid:
        try:
            found = cell_config(sources, values)
        except ConfigError as error:
            problems.setdefault(error.message, values)
            continue
        cells.append(({key: getattr(found, key) for key in values}, found))
    if problems:
        lines = [
            message + (f"\n  in the trial {format_values(values)}" if values else "")
            for message, values in problems.items()
        ]
        more = [f"and {len(lines) - SHOWN_PROBLEMS} more problems"] if len(lines) > SHOWN_PROBLEMS else []
        raise ConfigError(
            "\n".join([*lines[:SHOWN_PROBLEMS], *more]), "docs/configuration.md lists every key and its allowed values"
        )
    return cells


def format_values(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())


# --- fits


def trial_engine(found: Config) -> training_engine.Engine:
    """The engine of a trial; `auto` is decided without the number of ratings, since the engine is part of the id."""
    return training_engine.choose(found.model_dump(), 0).engine


def fit_key(found: Config) -> str:
    """What cells that share a fit have in common: with the native engine, everything but max_iter."""
    shaping = training_engine.shaping_params(found.model_dump(), trial_engine(found))
    return canonical_json(shaping | ({"max_iter": 0} if shaping["engine"] == "native" else {}))


def fits_by_key(cells: Iterable[tuple[dict[str, Any], Config]]) -> dict[str, Fit]:
    """The fits by `fit_key`: for cells that differ only in max_iter, the fit with the most iterations."""
    longest: dict[str, Config] = {}
    for _, found in cells:
        key = fit_key(found)
        longest[key] = max(longest.get(key, found), found, key=lambda one: one.max_iter)
    return {key: fit_of_config(found) for key, found in longest.items()}


def fit_of_config(found: Config) -> Fit:
    """The fit of a cell. Its id does not depend on parameters of the evaluation, and differs from that of gold's model
    with the same parameters, which is trained on more ratings."""
    values = found.model_dump()
    shaping = training_engine.shaping_params(values, trial_engine(found))
    evaluation = {key: values[key] for key in ("sweep_metric", "bias_damping", "bootstrap_samples", "bootstrap_seed")}
    if "@" in found.sweep_metric:
        evaluation |= {key: values[key] for key in RANKING_ONLY}
    evaluation["patience"] = found.patience if shaping["engine"] == "native" else None
    return Fit(short_hash({**shaping, "folds": ["train"]}), {**shaping, **evaluation})


def trial_config(found: Config, model: Mapping[str, Any]) -> Config:
    """The configuration as the script of a trial sees it: parameters of its model and of its evaluation."""
    fit = fit_of_config(found.model_copy(update=dict(model)))
    return load_config(fit.params, {})


# --- the plan that is printed before the jobs


def plan_text(sweep: Sweep, done: Iterable[str], ratings: int | None) -> str:
    """Size and estimated cost of a sweep.

    Args:
        sweep: the sweep.
        done: ids of fits with results.
        ratings: number of ratings in the train fold; None if it is not known yet.
    """
    remaining = [fit for fit in sweep.fits.values() if fit.id not in set(done)]
    done_count = len(sweep.fits) - len(remaining)
    grid = " x ".join(f"{len(values)} {key}" for key, values in sweep.axes.items()) or "one value for each key"
    sample = "" if len(sweep.cells) == sweep.size else f", a random sample of {sweep.size:,}"
    lines = [
        f"Sweep {sweep.name}: {len(sweep.cells):,} trials ({grid}{sample}) by {len(sweep.fits):,} fits, "
        f"{done_count:,} of them done; ranked by {sweep.base.sweep_metric} on the validation fold",
        f"  to do: {cost_text(remaining, ratings)}",
    ]
    engines = {fit.params["engine"] for fit in sweep.fits.values()}
    if "max_iter" in sweep.axes and "native" in engines:
        lines.append("  with the native engine, one fit is scored after each iteration, for all values of max_iter")
    if "spark-ml" in engines:
        several = "each max_iter needs its own fit" if "max_iter" in sweep.axes else "a fit is scored only at its end"
        patience = ", and patience has no effect" if sweep.base.patience else ""
        lines.append(f"  spark-ml gives no scores during training: {several}{patience}")
    return "\n".join(lines)


def cost_text(fits: Sequence[Fit], ratings: int | None) -> str:
    iterations = sum(fit.params["max_iter"] for fit in fits)
    counts = f"{len(fits):,} fits, {iterations:,} iterations"
    if ratings is None or not fits:
        return counts if not fits else f"{counts}; the time can be estimated once the ratings are cleaned"
    work = sum(fit.params["max_iter"] * max(fit.params["rank"], 16) for fit in fits)
    seconds = SECONDS_OF_A_FIT * len(fits) + NANOSECONDS * 1e-9 * ratings * work
    return f"{counts}, at most about {seconds:,.0f} s on one core (a rough estimate)"
