"""The source id of each user, from the dictionary in bronze to silver."""

import sys

from reco_platform.contracts.tables import USERS
from reco_platform.engine.runner import run
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps.source_ids import ids_table

if __name__ == "__main__":
    sys.exit(run(STEPS["silver_users"], __doc__, lambda task: ids_table(task, USERS)))
