"""Ratings from CSV to silver: typed, checked, deduplicated, partitioned by year and month; rejected rows aside."""

import sys

from reco_platform.cleaning.ratings import CLEANING
from reco_platform.engine.runner import run
from reco_platform.steps.silver import make, needs_spark

if __name__ == "__main__":
    sys.exit(run("silver_ratings", __doc__, lambda task: make(task, CLEANING), needs_spark))
