"""One trial of a sweep: trained on the train fold, scored on the validation fold after each iteration."""

import os
import sys

from reco_platform.engine.runner import run
from reco_platform.steps import trials

if __name__ == "__main__":
    if trials.OUTPUT in os.environ:
        sys.exit(trials.fit(sys.argv[1:]))
    sys.exit(run("trial", __doc__, lambda task: trials.make(task, sys.argv[1:])))
