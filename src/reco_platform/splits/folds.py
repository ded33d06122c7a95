"""The result of a split: each row's fold, and the cuts in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reco_platform.core.arrays import Int8Array


@dataclass(frozen=True)
class Cuts:
    """Cuts between folds, in microseconds since 1970: rows up to `train` train, later ones up to `test` validate."""

    train: int
    test: int


@dataclass(frozen=True)
class Split:
    """The fold of each row.

    Attributes:
        kind: global_time, user_time or random.
        fold: positions in FOLDS, shape (rows,).
        cuts: of global_time; None for other kinds.
    """

    kind: str
    fold: Int8Array
    cuts: Cuts | None = None


def utc_text(timestamp: int) -> str:
    """A timestamp in microseconds since 1970 as text in UTC."""
    return str(np.datetime64(int(timestamp), "us")) + "Z"
