"""All metrics of a run as CSV, one metric per line, for plotting."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.metrics_table import work

if __name__ == "__main__":
    sys.exit(run(STEPS["metrics_table"], __doc__, work))
