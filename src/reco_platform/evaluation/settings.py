"""The settings of an evaluation, from the config keys of the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from reco_platform.core.errors import DataError

RATING_SYSTEM = "als"
"""The system of the model that predicts ratings."""


@dataclass(frozen=True)
class Settings:
    """Config keys of the same names; those that are none are described below."""

    cold_start_strategy: str
    evaluation_k: tuple[int, ...]
    relevance: str
    relevant_rating: float
    diversify: float
    bias_damping: float
    bootstrap_samples: int
    bootstrap_seed: int
    threads: int
    """Never changes a result."""
    popular_half_life: int
    """Days after which a rating counts half in the popularity of late, as the validation fold has chosen it."""
    ranking: Mapping[str, Any]
    """ranking_model, and the parameters of the positives and of the baselines ease and item_knn."""

    @property
    def ranking_system(self) -> str:
        """The system whose lists are served."""
        return RATING_SYSTEM if self.ranking["ranking_model"] == "explicit" else str(self.ranking["ranking_model"])

    @property
    def headline_k(self) -> int:
        """The list length at which systems are compared: the middle one."""
        return self.evaluation_k[len(self.evaluation_k) // 2]


def settings_from_params(params: Mapping[str, Any], threads: int, popular_half_life: int) -> Settings:
    """The settings from a step's parameters, which have every config key of Settings."""
    own = {"threads", "popular_half_life", "ranking", "evaluation_k"}
    values = {field.name: params[field.name] for field in fields(Settings) if field.name not in own}
    lengths = tuple(params["evaluation_k"])
    return Settings(
        **values, evaluation_k=lengths, threads=threads, popular_half_life=popular_half_life, ranking=params
    )


def limit_list_lengths(settings: Settings, catalogue: int) -> tuple[Settings, dict[int, str]]:
    """The settings with only those list lengths that the catalogue can fill, and why each other one is omitted.

    Raises:
        DataError: if none is left.
    """
    possible = tuple(k for k in settings.evaluation_k if k <= catalogue)
    if not possible:
        raise DataError(
            f"the model knows only {catalogue:,} movies, fewer than the shortest list of evaluation_k "
            f"({settings.evaluation_k[0]:,})",
            f"set a shorter one: --config evaluation_k={catalogue}",
        )
    reason = f"the catalogue has only {catalogue:,} movies"
    return replace(settings, evaluation_k=possible), {k: reason for k in settings.evaluation_k if k > catalogue}
