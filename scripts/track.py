"""Logs the run to MLflow: parameters, metrics, the data set, receipts and reports."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.track import work

if __name__ == "__main__":
    sys.exit(run(STEPS["track"], __doc__, work))
