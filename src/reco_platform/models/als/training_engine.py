"""The choice of the training engine, and which parameters shape the model of each engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reco_platform.core.errors import ConfigError

Engine = Literal["native", "spark-ml"]

COMMON_PARAMS = ("rank", "max_iter", "reg_param", "seed", "min_user_ratings", "min_item_ratings", "biased")
SHAPING_PARAMS: Mapping[Engine, tuple[str, ...]] = {
    "native": (*COMMON_PARAMS, "solver"),
    "spark-ml": (*COMMON_PARAMS, "nonnegative", "num_blocks"),
}

MAX_NATIVE_RATINGS = 1_000_000_000
"""With more ratings, engine=auto trains by Spark: both orders of them would take 16 GB.

A constant instead of this machine's memory, so that every machine chooses the same engine.
"""


@dataclass(frozen=True)
class Choice:
    """An engine and the reason for it."""

    engine: Engine
    reason: str


def choose(params: Mapping[str, Any], rows: int) -> Choice:
    """The engine for a number of ratings.

    Args:
        params: engine (auto, native or spark-ml) and nonnegative.
        rows: number of ratings in all folds.

    Raises:
        ConfigError: if engine=native and nonnegative=true.
    """
    if params["engine"] == "native" and params["nonnegative"]:
        raise ConfigError("nonnegative factors are not supported by the native engine", "set engine=spark-ml")
    if params["engine"] != "auto":
        return Choice(params["engine"], "engine is set")
    if params["nonnegative"]:
        return Choice("spark-ml", "nonnegative factors are requested")
    if rows > MAX_NATIVE_RATINGS:
        return Choice(
            "spark-ml", f"{rows:,} ratings are more than the {MAX_NATIVE_RATINGS:,} that the native engine is used for"
        )
    return Choice("native", f"{rows:,} ratings fit on one machine")


def shaping_params(params: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """The engine and those parameters that shape its model: together with the ratings they decide the model."""
    keys = (*SHAPING_PARAMS[engine], "bias_damping") if params["biased"] else SHAPING_PARAMS[engine]
    return {"engine": engine, **{key: params[key] for key in keys}}
