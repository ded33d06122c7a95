"""The report of a run: one self-contained HTML file."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.report import work

if __name__ == "__main__":
    sys.exit(run(STEPS["report"], __doc__, work))
