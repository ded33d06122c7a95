"""Registered models in MLflow: their names, and the parts of a version."""

from __future__ import annotations

import re

from reco_platform.core.hashing import short_hash

RATING, RANKING, SERVED = PARTS = ("als", "ranking", "served")
"""Folders of a version: the evaluated rating model, the evaluated ranking model, and the model whose lists are served.
A part that is the same model as an earlier one is left out."""


def registered_name(name: str | None, dataset: str) -> str:
    """The name of the registered model: as configured, or `reco-<dataset>`, so that each data set has its own.

    Characters that MLflow refuses become `-`; a short hash of the data set's name then keeps such names apart.
    """
    if name is not None:
        return name
    plain = re.sub(r"[^\w.-]", "-", dataset)
    return f"reco-{plain}" if plain == dataset else f"reco-{plain}-{short_hash({'dataset': dataset})}"
