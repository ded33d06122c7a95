"""The configuration that runs a sweep again, from the receipts of its leaderboard and its trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reco_platform.config.commands import as_config_value
from reco_platform.config.load import load_config
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.maintenance.repair import sweep_config
from reco_platform.pipeline.steps_table import STEPS, parameters
from reco_platform.tuning.sweeps import Sweep, expand


def leaderboard_of(sweep: Sweep, lakehouse: Lakehouse) -> Receipt:
    """The receipt of a sweep's leaderboard; those of its trials are written."""
    for fit in sweep.fits.values():
        write(lakehouse, layout.trial(fit.id), made_by("trial", fit.params))
    own = {"sweep": sweep.name, "axes": list(sweep.axes), "cells": sweep.trials}
    values = {key: getattr(sweep.base, key) for key in STEPS["leaderboard"].keys} | own
    return Receipt(layout.sweep(sweep.name), "folder", "", "json", None, 0, "", "", {}, {"params": values})


def made_by(step: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a step records that was given some parameters: all of its keys."""
    values = parameters(STEPS[step], load_config(given, {}))
    return {"step": step, "code": values.pop("code"), "params": values, "inputs": {}}


def write(lakehouse: Lakehouse, artifact: str, made_from: dict[str, Any]) -> None:
    path = Path(lakehouse.receipt(artifact))
    path.parent.mkdir(parents=True)
    path.write_text(Receipt(artifact, "file", "", "json", None, 0, "", "0", {}, made_from).text())


@pytest.mark.parametrize(
    "given",
    [
        {"rank": [10, 50], "max_iter": [5, 9], "reg_param": 0.3},
        {"biased": [True, False], "bias_damping": [1.0, 5.0], "ranking_model": "ease"},
        {"ranking_model": ["ease", "implicit"], "ranking_rank": [8, 16], "ranking_max_iter": [2, 4], "ease_reg": 9.0},
        {"ranking_model": ["explicit", "implicit"], "rank": 7, "sweep_metric": "recall@5"},
        {"positive_half_life": [30.0, None], "ranking_model": "implicit", "sweep_name": "mine"},
    ],
)
def test_a_sweep_is_run_again_with_its_trials_and_its_name(given: dict[str, Any], tmp_path: Path) -> None:
    sweep, lakehouse = expand(given, {}), Lakehouse(str(tmp_path), "demo")
    found = sweep_config(lakehouse, leaderboard_of(sweep, lakehouse))
    again = expand({key: as_config_value(value) for key, value in found.items()}, {})
    assert (again.name, sorted(again.trials), again.fits) == (sweep.name, sorted(sweep.trials), sweep.fits)
    assert again.axes.keys() == sweep.axes.keys()
    assert "sweep_metric" not in found or "sweep_metric" in given
