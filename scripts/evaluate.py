"""Judges the model on the test fold, beside the baselines: rating error, ranking, and what the lists are like."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.evaluate import work

if __name__ == "__main__":
    sys.exit(run(STEPS["evaluate"], __doc__, work))
