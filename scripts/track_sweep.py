"""Logs a sweep to MLflow: a parent run with one nested run per trial."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.track_sweep import work

if __name__ == "__main__":
    sys.exit(run(STEPS["track_sweep"], __doc__, work))
