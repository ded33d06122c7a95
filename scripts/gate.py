"""Registers the model, and makes it champion if there is none or if it is significantly better than the champion."""

import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.gate import work

if __name__ == "__main__":
    sys.exit(run(STEPS["gate"], __doc__, work))
