"""Which engine trains, and what of the parameters shapes its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reco_platform.core.errors import ConfigError

Engine = Literal["native", "spark-ml"]

SHAPES_BOTH = ("rank", "max_iter", "reg_param", "seed", "min_user_ratings", "min_item_ratings", "biased")
SHAPES: Mapping[Engine, tuple[str, ...]] = {
    "native": (*SHAPES_BOTH, "solver"),
    "spark-ml": (*SHAPES_BOTH, "nonnegative", "num_blocks"),
}

LARGEST_NATIVE = 1_000_000_000
"""Ratings beyond which `auto` leaves the training to Spark: both orders of them take 16 GB.

A number, and not a look at this machine's memory, so that every machine chooses alike.
"""


@dataclass(frozen=True)
class Choice:
    """An engine, and why it."""

    engine: Engine
    why: str


def choose(params: Mapping[str, Any], rows: int) -> Choice:
    """The engine that trains on so many ratings.

    Args:
        params: engine (auto, native or spark-ml) and nonnegative.
        rows: ratings, of all folds.

    Raises:
        ConfigError: if the native engine is to make nonnegative factors.
    """
    if params["engine"] == "native" and params["nonnegative"]:
        raise ConfigError("nonnegative factors are not supported by the native engine", "set engine=spark-ml")
    if params["engine"] != "auto":
        return Choice(params["engine"], "engine is set")
    if params["nonnegative"]:
        return Choice("spark-ml", "factors are to be nonnegative")
    if rows > LARGEST_NATIVE:
        return Choice("spark-ml", f"{rows:,} ratings are more than {LARGEST_NATIVE:,}")
    return Choice("native", f"{rows:,} ratings fit in one machine")


def shaping(params: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """What decides the model besides the ratings: the engine and those of its parameters that count."""
    keys = (*SHAPES[engine], "bias_damping") if params["biased"] else SHAPES[engine]
    return {"engine": engine, **{key: params[key] for key in keys}}
