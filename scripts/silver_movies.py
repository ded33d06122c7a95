"""Movies from CSV to silver: typed, genres split, release year found; rejected rows aside."""

import sys

from reco_platform.cleaning.movies import CLEANING
from reco_platform.silver_step import make
from reco_platform.steps import always, run

if __name__ == "__main__":
    sys.exit(run("silver_movies", __doc__, lambda task: make(task, CLEANING), always))
