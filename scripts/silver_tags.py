"""Tags from CSV to silver, if there are any: typed, checked, partitioned; rejected rows go to quarantine."""

import sys

from reco_platform.cleaning.tags import CLEANING
from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.silver import needs_spark, silver_table

if __name__ == "__main__":
    sys.exit(run(STEPS["silver_tags"], __doc__, lambda task: silver_table(task, CLEANING), needs_spark))
