"""Silver ratings ready for training: one row per user and movie, dense indexes, and a fold by config `split`."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.interactions import work

if __name__ == "__main__":
    sys.exit(run(STEPS["interactions"], __doc__, work))
