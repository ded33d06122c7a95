"""Evaluates the model and the baselines on the test fold: rating error, ranking, and beyond accuracy."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.evaluate import work

if __name__ == "__main__":
    sys.exit(run(STEPS["evaluate"], __doc__, work))
