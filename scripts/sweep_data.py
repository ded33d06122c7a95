"""The train and validation folds as arrays, for the trials of sweeps. Only this step of a sweep reads interactions."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.sweep_data import work

if __name__ == "__main__":
    sys.exit(run(STEPS["sweep_data"], __doc__, work))
