"""The step silver_ratings without fingerprints, checksums, input checks and receipts, for overhead.py.

It runs the code of the product, with only those parts replaced by functions that do nothing.
"""

import sys

from reco_platform.cleaning import native
from reco_platform.cleaning.ratings import CLEANING
from reco_platform.engine import runner
from reco_platform.fingerprint.spec import RowSums
from reco_platform.lakehouse import manifests, tables
from reco_platform.pipeline.steps_table import STEPS
from reco_platform.steps import silver


def disable_receipts() -> None:
    for module in (native, silver):
        module.arrow_sums = lambda rows, columns: RowSums(len(rows), 0, 0)
    for module in (manifests, tables):
        module.sha256_file = lambda path: ""
    tables.content_problem = lambda root, receipt, thorough=False: None
    runner.finish = lambda task, receipt, started: None


if __name__ == "__main__":
    disable_receipts()
    sys.exit(runner.run(STEPS["silver_ratings"], __doc__, lambda task: silver.silver_table(task, CLEANING)))
