"""Ratings from CSV to silver: typed, checked, deduplicated, partitioned; rejected rows go to quarantine."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.silver import needs_spark, ratings_table

if __name__ == "__main__":
    sys.exit(run(STEPS["silver_ratings"], __doc__, ratings_table, needs_spark))
