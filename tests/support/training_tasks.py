"""Tasks of the step train_als."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reco_platform.config.model import Config
from reco_platform.engine.task import Task
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS

INTERACTIONS = Receipt("gold/interactions", "table", "gold/interactions", fingerprint="0123456789abcdef")


def task_in(root: Path, threads: int = 2, **params: Any) -> Task:
    chosen = STEPS["train_als"]
    values = {key: getattr(Config(), key) for key in chosen.keys} | {"rank": 4, "max_iter": 5} | params
    place = (root / "model.receipt.json", "gold/models/als")
    return Task(chosen, "demo", root, *place, values, {"interactions": INTERACTIONS}, threads, "warn")
