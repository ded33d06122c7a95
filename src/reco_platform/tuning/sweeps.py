"""The grid of a sweep, the cells to try, and the fits that they need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

from reco_platform.config.load import Sources, environment_and_defaults, load_config, overrides_as_sources, validated
from reco_platform.config.model import AXES, RANKING_AXES, Config
from reco_platform.core.errors import ConfigError
from reco_platform.core.hashing import short_hash
from reco_platform.core.words import counted
from reco_platform.models.ranking import shaping
from reco_platform.tuning.fits import RATING_MODEL, Fit, fit_key, fit_of, shaping_of, trial_model
from reco_platform.tuning.tuned_model import RANKING, TunedModel, check_axes, metric_of, tuned_model

OWN_KEYS = ("max_trials", "sweep_sample", "sweep_seed", "sweep_metric")
"""Keys of the whole sweep, which are checked before its grid."""

SHOWN_PROBLEMS = 5

NANOSECONDS = 3.0
"""Time per rating, factor and iteration, measured with ml-latest-small; a rough estimate for other data."""

SECONDS_OF_A_FIT = 2.5
"""Additional time of a fit: starting Python twice, and scoring."""


@dataclass(frozen=True)
class Cell:
    """One cell of the grid.

    Attributes:
        values: of the axes.
        config: the whole configuration.
        fit: id of its fit, which other cells may share.
        iterations: after which it is scored.
    """

    values: dict[str, Any]
    config: Config
    fit: str
    iterations: int


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
    def tuned(self) -> TunedModel:
        return tuned_model(self.axes)

    @property
    def trials(self) -> list[tuple[str, int]]:
        """The distinct pairs of fit and iterations of the cells."""
        return list(dict.fromkeys((cell.fit, cell.iterations) for cell in self.cells))

    @property
    def name(self) -> str:
        fits = {name: self.tuned.own_params(fit.params) for name, fit in self.fits.items()}
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
    check_axes(axes, given)
    fixed = {key: value for key, value in given.items() if key not in axes}
    sources = {**elsewhere, **overrides_as_sources(fixed)}
    axes, sources = without_auto(axes, sources)
    own, tuned = validated({key: sources[key] for key in OWN_KEYS if key in sources}), tuned_model(axes)
    sources["sweep_metric"] = (metric_of(tuned, own.sweep_metric), "default")
    size = prod(map(len, axes.values()))
    cells = checked_cells([cell_values(axes, number) for number in cells_to_try(own, size)], sources, tuned)
    params = [tuned.trial_params(config) for _, config in cells]
    fits = fits_by_key(params)
    found = Sweep(
        axes,
        size,
        tuple(
            Cell(values, config, fits[fit_key(one)].id, trial_model(one).iterations(one))
            for (values, config), one in zip(cells, params, strict=True)
        ),
        {fit.id: fit for fit in fits.values()},
    )
    refuse_axes_without_effect(found)
    return found


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


def without_auto(axes: dict[str, list[Any]], sources: Sources) -> tuple[dict[str, list[Any]], Sources]:
    """Axes and sources with the models that ranking_model=auto stands for; the validation fold chooses between them.

    Args:
        axes: the values of each axis.
        sources: the values of all other keys.
    """
    default = Config.model_fields["ranking_model"].default
    value, source = sources.get("ranking_model", (default, "default"))
    values = axes.get("ranking_model", [value])
    if shaping.AUTO not in values or tuned_model(axes) is not RANKING:
        return axes, sources
    kinds = shaping.auto_kinds([key for key in axes if key in RANKING_AXES and key != "ranking_model"])
    tried = list(dict.fromkeys(kind for one in values for kind in (kinds if one == shaping.AUTO else [one])))
    if len(tried) == 1:
        others = {key: own for key, own in axes.items() if key != "ranking_model"}
        return others, {**sources, "ranking_model": (tried[0], source)}
    return {**axes, "ranking_model": tried}, sources


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


def cell_config(sources: Sources, values: Mapping[str, Any], tuned: TunedModel) -> Config:
    found = validated({**sources, **overrides_as_sources(values)})
    shaping_of(tuned.trial_params(found))  # refuses an engine that cannot train the model
    return found


def checked_cells(
    grid: Iterable[dict[str, Any]], sources: Sources, tuned: TunedModel
) -> list[tuple[dict[str, Any], Config]]:
    """The values of each cell, as the config model parses them, and its configuration.

    Raises:
        ConfigError: with the distinct problems of all cells, each with one cell that has it.
    """
    cells: list[tuple[dict[str, Any], Config]] = []
    problems: dict[str, dict[str, Any]] = {}
    for values in grid:
        try:
            found = cell_config(sources, values, tuned)
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


def fits_by_key(params: Iterable[Mapping[str, Any]]) -> dict[str, Fit]:
    """The fits by `fit_key`: for trials that differ only in iterations, the fit with the most of them."""
    longest: dict[str, Fit] = {}
    for one in params:
        key, fit = fit_key(one), fit_of(one)
        longest[key] = max(longest.get(key, fit), fit, key=lambda each: each.iterations)
    return longest


def trial_config(found: Config, made: Mapping[str, Any]) -> Config:
    """The configuration as the script of a trial sees it: parameters of its model and of its evaluation.

    Args:
        found: the present configuration, whose evaluation counts.
        made: the parameters that the trial was made with, whose model counts.
    """
    model = {"ranking_model": RATING_MODEL, **{key: made[key] for key in AXES if key in made}}
    return load_config(fit_of(found.model_dump() | model).params, {})


def refuse_axes_without_effect(sweep: Sweep) -> None:
    """Checks that each axis of the ranking model shapes a trial; not for a random sample, which may miss a model.

    Raises:
        ConfigError: for an axis of another ranking model than those of the sweep.
    """
    used = {"ranking_model"}.union(*(fit.params for fit in sweep.fits.values()))
    idle = [key for key in sweep.axes if key in RANKING_AXES and key not in used]
    if idle and len(sweep.cells) == sweep.size:
        models = ", ".join(dict.fromkeys(str(fit.params["ranking_model"]) for fit in sweep.fits.values()))
        weighted = " positives=weighted" if "positive_strength" in idle else ""
        raise ConfigError(
            f"{', '.join(idle)} has no effect on the trials of this sweep, with ranking_model={models}",
            f"set --config ranking_model={shaping.models_with(idle[0])[0]}{weighted}",
        )


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
    distinct = "" if len(sweep.cells) == len(sweep.trials) else f", {len(sweep.trials):,} of them different,"
    lines = [
        f"Sweep {sweep.name} of the {sweep.tuned.name}: "
        f"{counted(len(sweep.cells), 'trial')} ({grid}{sample}){distinct} by "
        f"{counted(len(sweep.fits), 'fit')}, {done_count:,} of them done; ranked by {sweep.base.sweep_metric} on the "
        "validation fold",
        f"  to do: {cost_text(remaining, ratings)}",
    ]
    return "\n".join([*lines, *iteration_lines(sweep)])


def iteration_lines(sweep: Sweep) -> Iterator[str]:
    """What the engines of the trials mean for iterations and patience."""
    keys = {
        engine: {fit.model.iteration_key for fit in sweep.fits.values() if fit.params["engine"] == engine} - {None}
        for engine in ("native", "spark-ml")
    }
    shared, separate = (", ".join(key for key in sweep.axes if key in keys[engine]) for engine in keys)
    if shared:
        yield f"  with the native engine, one fit is scored after each iteration, for all values of {shared}"
    if keys["spark-ml"]:
        several = f"each {separate} needs its own fit" if separate else "a fit is scored only at its end"
        patience = ", and patience has no effect" if sweep.base.patience else ""
        yield f"  spark-ml gives no scores during training: {several}{patience}"


def cost_text(fits: Sequence[Fit], ratings: int | None) -> str:
    iterations = sum(fit.iterations for fit in fits)
    counts = f"{counted(len(fits), 'fit')}, {counted(iterations, 'iteration')}"
    if ratings is None or not fits:
        return counts if not fits else f"{counts}; the time can be estimated once the ratings are cleaned"
    work = sum(fit.iterations * max(fit.factors, 16) for fit in fits)
    seconds = SECONDS_OF_A_FIT * len(fits) + NANOSECONDS * 1e-9 * ratings * work
    return f"{counts}, at most about {seconds:,.0f} s on one core (a rough estimate)"
