"""Recently popular movies for each user without factors in the served model, as a separate table."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.fallback import work

if __name__ == "__main__":
    sys.exit(run(STEPS["fallback"], __doc__, work))
