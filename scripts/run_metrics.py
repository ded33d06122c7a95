"""A JSON file with the model, its data, its metrics, and its recommendations."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.run_metrics import work

if __name__ == "__main__":
    sys.exit(run(STEPS["run_metrics"], __doc__, work))
