"""Trains the served model on the ratings of all folds, with the parameters of the evaluated model."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.refit import work
from reco_platform.steps.training import needs_spark

if __name__ == "__main__":
    sys.exit(run(STEPS["refit"], __doc__, work, needs_spark))
