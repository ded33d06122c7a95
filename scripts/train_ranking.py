"""Trains the model that orders the lists on the train and validation folds."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.ranking import needs_spark
from reco_platform.steps.train_ranking import work

if __name__ == "__main__":
    sys.exit(run(STEPS["train_ranking"], __doc__, work, needs_spark))
