"""The rerun contract of the two models: a key of one reruns nothing of the other."""

from __future__ import annotations

import pytest

from reco_platform.config.load import load_config
from reco_platform.config.model import Config
from reco_platform.pipeline.steps_table import STEP_OF, STEPS, resolve_input

RATING_STEPS, RANKING_STEPS = {"train_als", "train_plain"}, {"train_ranking", "refit_ranking"}
RATING_KEYS = set(STEPS["train_als"].keys) - set(STEPS["train_ranking"].keys)
RANKING_KEYS = set(STEPS["train_ranking"].keys) - set(STEPS["train_als"].keys)
AFTER_RANKING = {"recommend", "fallback", "evaluate", "run_metrics", "metrics_table", "gate", "report", "track"}


def rerun_by(key: str, config: Config) -> set[str]:
    """The steps of gold that the key shapes, and those that read a result of one of them."""
    gold = {name: step for name, step in STEPS.items() if step.layer != "sweeps"}
    found = {name for name, step in gold.items() if key in step.keys}
    while True:
        more = {
            name
            for name, step in gold.items()
            if name not in found
            and any(
                made in STEP_OF and STEP_OF[made].name in found
                for made in (resolve_input(read, config) for read in step.reads)
            )
        }
        if not more:
            return found
        found |= more


def test_the_keys_of_the_two_models_are_known() -> None:
    assert {"ranking_rank", "ease_reg", "positives", "ranking_model"} <= RANKING_KEYS
    assert {"rank", "reg_param", "biased"} <= RATING_KEYS


@pytest.mark.parametrize("key", sorted(RANKING_KEYS))
def test_a_ranking_key_reruns_the_ranking_model_and_what_follows_and_no_rating_model(key: str) -> None:
    found = rerun_by(key, load_config({"ranking_model": "implicit"}, {}))
    assert found == RANKING_STEPS | AFTER_RANKING


@pytest.mark.parametrize("key", sorted(RATING_KEYS))
def test_a_rating_key_reruns_no_ranking_model_and_no_lists(key: str) -> None:
    found = rerun_by(key, load_config({"ranking_model": "implicit"}, {}))
    assert not found & (RANKING_STEPS | {"recommend", "fallback"})
    assert {"train_als", "evaluate", "gate", "report"} <= found or key == "bias_damping"
