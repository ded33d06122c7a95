"""Trains ALS without biases, a baseline, with the native engine on the ratings of the evaluated model."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.train_plain import work

if __name__ == "__main__":
    sys.exit(run(STEPS["train_plain"], __doc__, work))
