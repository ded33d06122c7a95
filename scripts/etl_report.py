"""A JSON report of the rows that went into and came out of each silver table."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.etl_report import work

if __name__ == "__main__":
    sys.exit(run(STEPS["etl_report"], __doc__, work))
