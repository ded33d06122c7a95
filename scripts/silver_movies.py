"""Movies from CSV to silver: typed, genres split, release year parsed; rejected rows go to quarantine."""

import sys

from reco_platform.cleaning.movies import CLEANING
from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.silver import needs_spark, silver_table

if __name__ == "__main__":
    sys.exit(run(STEPS["silver_movies"], __doc__, lambda task: silver_table(task, CLEANING), needs_spark))
