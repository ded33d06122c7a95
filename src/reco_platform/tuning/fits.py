"""The fits of a sweep: which model each one trains, what shapes that model, and what its scores depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reco_platform.core.hashing import canonical_json, short_hash
from reco_platform.models.als import training_engine
from reco_platform.models.als.training_engine import Choice, Engine
from reco_platform.models.ranking import shaping

RATING_MODEL = "explicit"
"""The value of ranking_model for which a trial trains the rating model; also that of parameters without the key."""

INTERVAL_KEYS = ("bootstrap_samples", "bootstrap_seed")
RELEVANCE_KEYS = ("relevance", "relevant_rating")


@dataclass(frozen=True)
class TrialModel:
    """What a trial trains.

    Attributes:
        iteration_key: the key of the number of iterations; None if the model is computed at once.
        rank_key: the key of the number of factors; None if it has none.
        choose_engine: the engine for parameters and a number of ratings.
        shaping_params: the parameters that shape the model, for parameters and an engine.
        scoring_keys: further keys that its scores depend on.
    """

    iteration_key: str | None
    rank_key: str | None
    choose_engine: Callable[[Mapping[str, Any], int], Choice]
    shaping_params: Callable[[Mapping[str, Any], Engine], dict[str, Any]]
    scoring_keys: tuple[str, ...]

    def iterations(self, params: Mapping[str, Any]) -> int:
        return int(params[self.iteration_key]) if self.iteration_key else 1


RATINGS = TrialModel(
    "max_iter", "rank", training_engine.choose, training_engine.shaping_params, ("bias_damping",)
)  # fmt: skip
IMPLICIT = TrialModel("ranking_max_iter", "ranking_rank", shaping.choose_engine, shaping.shaping_params, ())
COMPUTED_AT_ONCE = TrialModel(None, None, shaping.choose_engine, shaping.shaping_params, ())


def trial_model(params: Mapping[str, Any]) -> TrialModel:
    """The model that a trial with these parameters trains; ranking_model is not auto."""
    others = {RATING_MODEL: RATINGS, "implicit": IMPLICIT}
    return others.get(params.get("ranking_model", RATING_MODEL), COMPUTED_AT_ONCE)


@dataclass(frozen=True)
class Fit:
    """One training run on the train fold.

    Attributes:
        id: short hash of the parameters that shape the model.
        params: ranking_model, those that shape the model, and those that its scores depend on.
    """

    id: str
    params: dict[str, Any]

    @property
    def model(self) -> TrialModel:
        return trial_model(self.params)

    @property
    def iterations(self) -> int:
        return self.model.iterations(self.params)

    @property
    def factors(self) -> int:
        """The number of factors; 0 for a model without factors."""
        return int(self.params[self.model.rank_key]) if self.model.rank_key else 0


def shaping_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that shape a trial's model, with its engine.

    `auto` is decided without the number of ratings, since the engine is part of the id.

    Raises:
        ConfigError: if the engine cannot train the model.
    """
    model = trial_model(params)
    return model.shaping_params(params, model.choose_engine(params, 0).engine)


def fit_key(params: Mapping[str, Any]) -> str:
    """What trials that share a fit have in common: natively, everything but the number of iterations."""
    found, key = shaping_of(params), trial_model(params).iteration_key
    return canonical_json(found | ({key: 0} if key and found["engine"] == "native" else {}))


def fit_of(params: Mapping[str, Any]) -> Fit:
    """The fit of a trial.

    Its id depends neither on parameters of the evaluation nor on those of the other model, and differs from that of
    gold's model with the same parameters, which is trained on more ratings.

    Args:
        params: the values of the keys of the step trial; ranking_model tells which model is trained.
    """
    found, model = shaping_of(params), trial_model(params)
    relevance = RELEVANCE_KEYS if "@" in params["sweep_metric"] else ()
    scoring = {key: params[key] for key in ("sweep_metric", *model.scoring_keys, *INTERVAL_KEYS, *relevance)}
    scoring["patience"] = params["patience"] if found["engine"] == "native" and model.iteration_key else None
    return Fit(
        short_hash({**found, "folds": ["train"]}),
        {"ranking_model": params.get("ranking_model", RATING_MODEL), **found, **scoring},
    )
