"""Trains the ALS model on the train and validation folds, and saves it in Spark's format under its version."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.train_als import work
from reco_platform.steps.training import needs_spark

if __name__ == "__main__":
    sys.exit(run(STEPS["train_als"], __doc__, work, needs_spark))
