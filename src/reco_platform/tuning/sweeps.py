"""What a sweep consists of: its grid, the cells of it that are tried, and the fits that they take."""

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
"""What a rating costs for each factor and iteration, measured with ml-latest-small; a rough guide elsewhere."""

SECONDS_OF_A_FIT = 2.5
"""What a fit takes besides: two starts of Python, and the scores."""


@dataclass(frozen=True)
class Fit:
    """One training run on the train fold.

    Attributes:
        id: short hash of what shapes the model.
        params: what shapes the model, and what judges it.
    """

    id: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One cell of the grid.

    Attributes:
        values: of the axes.
        config: the whole configuration.
        fit: the id of its fit, which other cells may share.
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
        cells: those that are tried.
        fits: by id.
    """

    axes: dict[str, list[Any]]
    size: int
    cells: tuple[Cell, ...]
    fits: dict[str, Fit]

    @property
    def base(self) -> Config:
        """A configuration with one value of each key: that of the first cell."""
        return self.cells[0].config

    @property
    def trials(self) -> list[tuple[str, int]]:
        """The fit and the iterations of each cell; what several cells share stands there once."""
        return list(dict.fromkeys((cell.fit, cell.config.max_iter) for cell in self.cells))

    @property
    def name(self) -> str:
        fits = {name: fit.params for name, fit in self.fits.items()}
        return self.base.sweep_name or short_hash([sorted(self.trials), fits])


def expand(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Sweep:
    """The sweep that a command line asks for; every cell is checked like the configuration of a run.

    Args:
        given: what the command line and its config files say; a list of a hyperparameter is an axis.
        environ: environment variables.

    Raises:
        ConfigError: for a key or value that is not allowed, in whichever cell, or a grid above `max_trials`.
    """
    elsewhere, axes = environment_and_defaults(environ), axes_of(given)
    fixed = {key: value for key, value in given.items() if key not in axes}
    sources = {**elsewhere, **overrides_as_sources(fixed)}
    limits = validated({key: sources[key] for key in LIMITS if key in sources})
    size = prod(map(len, axes.values()))
    cells = checked([cell_at(axes, number) for number in chosen(limits, size)], sources)
    fits = fits_of(cells)
    return Sweep(axes, size, tuple(Cell(v, c, fits[key_of(c)].id) for v, c in cells), {f.id: f for f in fits.values()})


def axes_of(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The keys with several values.

    Raises:
        ConfigError: for a list without values.
    """
    found = {key: values for key in AXES if (values := listed(given.get(key))) is not None}
    for key, values in found.items():
        if not values:
            raise ConfigError(f"{key} is a list without values", f"for example --config {key}=10,50")
    return found


def listed(value: Any) -> list[Any] | None:
    """The values of a list, also of one written as 10,50, none twice; None for a single value."""
    if isinstance(value, str) and "," in value:
        value = [word.strip() for word in value.split(",")]
    return list(dict.fromkeys(value)) if isinstance(value, list | tuple) else None


def chosen(limits: Config, size: int) -> Sequence[int]:
    """The numbers of the cells that are tried: all, or a seeded random sample.

    Raises:
        ConfigError: if they are more than `max_trials`.
    """
    wanted = min(size, limits.sweep_sample or size)
    if wanted > limits.max_trials:
        raise ConfigError(
            f"the grid has {size:,} trials{'' if wanted == size else f', of which {wanted:,} are asked for'}, and "
            f"max_trials is {limits.max_trials:,}",
            f"give fewer values, a random sample (sweep_sample={min(20, limits.max_trials)}) or a larger max_trials",
        )
    if wanted == size:
        return range(size)
    return sorted(Random(limits.sweep_seed).sample(range(size), wanted))  # noqa: S311  # nothing secret


def cell_at(axes: Mapping[str, Sequence[Any]], number: int) -> dict[str, Any]:
    """One cell of the grid; the last axis changes quickest."""
    found: dict[str, Any] = {}
    for key in reversed(list(axes)):
        number, at = divmod(number, len(axes[key]))
        found[key] = axes[key][at]
    return dict(reversed(found.items()))


def one_config(sources: Sources, values: Mapping[str, Any]) -> Config:
    found = validated({**sources, **overrides_as_sources(values)})
    training_engine.choose(found.model_dump(), 0)
    return found


def checked(grid: Iterable[dict[str, Any]], sources: Sources) -> list[tuple[dict[str, Any], Config]]:
    """The axes' values of each cell, as the config model reads them, and its configuration.

    Raises:
        ConfigError: with the problems of all cells, each once, and a cell that has it.
    """
    cells: list[tuple[dict[str, Any], Config]] = []
    problems: dict[str, dict[str, Any]] = {}
    for values in grid:
        try:
            found = one_config(sources, values)
        except ConfigError as error:
            problems.setdefault(error.message, values)
            continue
        cells.append(({key: getattr(found, key) for key in values}, found))
    if problems:
        said = [what + (f"\n  in the trial {in_words(values)}" if values else "") for what, values in problems.items()]
        more = [f"and {len(said) - SHOWN_PROBLEMS} problems more"] if len(said) > SHOWN_PROBLEMS else []
        raise ConfigError(
            "\n".join([*said[:SHOWN_PROBLEMS], *more]), "docs/configuration.md lists every key with what it allows"
        )
    return cells


def in_words(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())


# --- fits


def engine_of(found: Config) -> training_engine.Engine:
    """What trains; `auto` is decided without the number of ratings, for it is part of a trial's id."""
    return training_engine.choose(found.model_dump(), 0).engine


def key_of(found: Config) -> str:
    """What cells with one fit have in common: natively, all but the number of iterations."""
    shaping = training_engine.shaping_params(found.model_dump(), engine_of(found))
    return canonical_json(shaping | ({"max_iter": 0} if shaping["engine"] == "native" else {}))


def fits_of(cells: Iterable[tuple[dict[str, Any], Config]]) -> dict[str, Fit]:
    """The fits by `key_of`: of cells that differ in iterations alone, the one with the most."""
    longest: dict[str, Config] = {}
    for _, found in cells:
        key = key_of(found)
        longest[key] = max(longest.get(key, found), found, key=lambda one: one.max_iter)
    return {key: fit_of(found) for key, found in longest.items()}


def fit_of(found: Config) -> Fit:
    """Its id has nothing of what judges it, and is never that of gold's model, which has more training ratings."""
    values = found.model_dump()
    shaping = training_engine.shaping_params(values, engine_of(found))
    judging = {key: values[key] for key in ("sweep_metric", "bias_damping", "bootstrap_samples", "bootstrap_seed")}
    if "@" in found.sweep_metric:
        judging |= {key: values[key] for key in RANKING_ONLY}
    judging["patience"] = found.patience if shaping["engine"] == "native" else None
    return Fit(short_hash({**shaping, "folds": ["train"]}), {**shaping, **judging})


def as_a_trial(found: Config, model: Mapping[str, Any]) -> Config:
    """The configuration as the script of a trial has it: with what shapes its model, and of the rest what judges it."""
    fit = fit_of(found.model_copy(update=dict(model)))
    return load_config(fit.params, {})


# --- what is said before the jobs


def plan(sweep: Sweep, done: Iterable[str], ratings: int | None) -> str:
    """Size and estimated cost in words.

    Args:
        sweep: the sweep.
        done: ids of fits whose results are there.
        ratings: of the train fold; None where it is not known yet.
    """
    left = [fit for fit in sweep.fits.values() if fit.id not in set(done)]
    grid = " x ".join(f"{len(values)} {key}" for key, values in sweep.axes.items()) or "one value of each key"
    sample = "" if len(sweep.cells) == sweep.size else f", a random sample of {sweep.size:,}"
    lines = [
        f"Sweep {sweep.name}: {len(sweep.cells):,} trials ({grid}{sample}) by {len(sweep.fits):,} fits, "
        f"{len(sweep.fits) - len(left):,} of them done; ranked by {sweep.base.sweep_metric} on the validation fold",
        f"  to do: {cost(left, ratings)}",
    ]
    engines = {fit.params["engine"] for fit in sweep.fits.values()}
    if "max_iter" in sweep.axes and "native" in engines:
        lines.append("  max_iter is no fit of its own with the native engine: one fit is scored after each iteration")
    if "spark-ml" in engines:
        several = "each max_iter is a fit of its own" if "max_iter" in sweep.axes else "it is scored at its end alone"
        patience = ", and patience does nothing" if sweep.base.patience else ""
        lines.append(f"  spark-ml gives no scores on the way: {several}{patience}")
    return "\n".join(lines)


def cost(fits: Sequence[Fit], ratings: int | None) -> str:
    iterations = sum(fit.params["max_iter"] for fit in fits)
    said = f"{len(fits):,} fits, {iterations:,} iterations"
    if ratings is None or not fits:
        return said if not fits else f"{said}; the time is known once the ratings are cleaned"
    work = sum(fit.params["max_iter"] * max(fit.params["rank"], 16) for fit in fits)
    seconds = SECONDS_OF_A_FIT * len(fits) + NANOSECONDS * 1e-9 * ratings * work
    return f"{said}, at most about {seconds:,.0f} s of one core (rough)"
