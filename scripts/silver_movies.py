"""Movies from CSV to silver: typed, genres split, release year found; rejected rows aside."""

import sys

from reco_platform.cleaning.movies import CLEANING
from reco_platform.engine.runner import run
from reco_platform.steps.silver import make, needs_spark

if __name__ == "__main__":
    sys.exit(run("silver_movies", __doc__, lambda task: make(task, CLEANING), needs_spark))
