"""Movies from CSV to silver: typed, genres split, release year found; rejected rows aside."""

import sys

from reco_platform.cleaning.movies import CLEANING
from reco_platform.silver_step import make, needs_spark
from reco_platform.steps import run

if __name__ == "__main__":
    sys.exit(run("silver_movies", __doc__, lambda task: make(task, CLEANING), needs_spark))
