"""The model that a sweep tunes: the rating model, or the ranking model if an axis shapes that alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from reco_platform.config import commands
from reco_platform.config.model import RANKING_AXES, RATING_AXES, Config
from reco_platform.config.secrets import redact_value
from reco_platform.core.errors import ConfigError
from reco_platform.tuning.fits import RATING_MODEL


@dataclass(frozen=True)
class TunedModel:
    """One of the two models.

    Attributes:
        name: in messages.
        default_metric: what ranks its trials if sweep_metric is not set.
        omitted: keys that say nothing about its trials.
    """

    name: str
    default_metric: str
    omitted: tuple[str, ...]

    def trial_params(self, config: Config) -> dict[str, Any]:
        """The values of all keys for a trial; ranking_model tells which model it trains.

        In a sweep of the rating model that is the rating model, whichever model orders the lists of gold.
        """
        return config.model_dump() | ({"ranking_model": RATING_MODEL} if "ranking_model" in self.omitted else {})

    def own_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a trial, without keys of the other model."""
        return {key: value for key, value in params.items() if key not in self.omitted}


RATING = TunedModel("rating model", "rmse_all", omitted=RANKING_AXES)
RANKING = TunedModel("ranking model", "ndcg@10", omitted=())
"""Its trials may train the rating model too, for ranking_model=explicit."""


def tuned_model(axes: Collection[str]) -> TunedModel:
    """The model that a sweep over some axes tunes."""
    return RANKING if set(axes) & set(RANKING_AXES) else RATING


def check_axes(axes: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Checks that no axis shapes the other model.

    Args:
        axes: the values of each axis.
        given: values from the command line and its config files.

    Raises:
        ConfigError: if both models have axes; with a command for each.
    """
    rating, ranking = ([key for key in axes if key in own] for own in (RATING_AXES, RANKING_AXES))
    if rating and ranking:
        both = " and then ".join(sweep_command(axes, given, without) for without in (ranking, rating))
        raise ConfigError(
            f"a sweep tunes one model, but {', '.join(rating)} shapes the rating model and {', '.join(ranking)} the "
            "ranking model",
            f"run two sweeps: {both}",
        )


def sweep_command(axes: Mapping[str, Any], given: Mapping[str, Any], without: Collection[str]) -> str:
    """The command of a sweep with fewer axes; without the name, which another sweep may not share."""
    values = {key: axes.get(key, redact_value(key, value)) for key, value in given.items()}
    return commands.snakemake(
        "sweep", {key: value for key, value in values.items() if key not in {*without, "sweep_name"}}
    )


def metric_of(tuned: TunedModel, given: str | None) -> str:
    """The metric that ranks the trials of a sweep.

    Raises:
        ConfigError: if the ranking model has no such metric.
    """
    if tuned is RANKING and given is not None and "@" not in given:
        raise ConfigError(
            f"sweep_metric={given} measures predicted ratings, and this sweep tunes the ranking model, which predicts "
            "none",
            f"set a metric of lists: --config sweep_metric={RANKING.default_metric}",
        )
    return given or tuned.default_metric
