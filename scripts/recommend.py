"""The top N movies of each user in the served model, as a table."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.recommend import needs_spark, work

if __name__ == "__main__":
    sys.exit(run(STEPS["recommend"], __doc__, work, needs_spark))
