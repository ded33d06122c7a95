"""The source id of each movie, from the dictionary in bronze to silver."""

import sys

from reco_platform.contracts.tables import ITEMS
from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.source_ids import ids_table

if __name__ == "__main__":
    sys.exit(run(STEPS["silver_items"], __doc__, lambda task: ids_table(task, ITEMS)))
