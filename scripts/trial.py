"""One trial of a sweep: trained on the train fold, scored on the validation fold after each iteration."""

import os
import sys

from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps import trial

if __name__ == "__main__":
    if trial.OUTPUT in os.environ:
        sys.exit(trial.fit(sys.argv[1:]))
    sys.exit(run(STEPS["trial"], __doc__, lambda task: trial.run_fit(task, sys.argv[1:])))
