"""The trials of a sweep from best to worst, as CSV, JSON and an HTML page, and a config file with the best trial."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.leaderboard import work

if __name__ == "__main__":
    sys.exit(run(STEPS["leaderboard"], __doc__, work))
