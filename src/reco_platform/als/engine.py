"""Which engine trains, and what of the parameters shapes its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Engine = Literal["native", "spark-ml"]

SHAPES: Mapping[Engine, tuple[str, ...]] = {
    "native": ("rank", "max_iter", "reg_param", "seed", "solver"),
    "spark-ml": ("rank", "max_iter", "reg_param", "seed", "nonnegative", "num_blocks"),
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
    """
    if params["engine"] != "auto":
        return Choice(params["engine"], "engine is set")
    if params["nonnegative"]:
        return Choice("spark-ml", "factors are to be nonnegative")
    if rows > LARGEST_NATIVE:
        return Choice("spark-ml", f"{rows:,} ratings are more than {LARGEST_NATIVE:,}")
    return Choice("native", f"{rows:,} ratings fit in one machine")


def shaping(params: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """What decides the model besides the ratings: the engine and those of its parameters that count."""
    return {"engine": engine, **{key: params[key] for key in SHAPES[engine]}}
