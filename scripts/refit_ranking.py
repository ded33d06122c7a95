"""Trains the served ranking model on the ratings of all folds, with the parameters of the evaluated one."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.ranking import needs_spark
from reco_platform.steps.refit_ranking import work

if __name__ == "__main__":
    sys.exit(run(STEPS["refit_ranking"], __doc__, work, needs_spark))
