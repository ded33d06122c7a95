"""The most popular movies of late for every user whom the served model does not know, as a table of their own."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.fallback import work

if __name__ == "__main__":
    sys.exit(run(STEPS["fallback"], __doc__, work))
