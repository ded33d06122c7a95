"""Generates, downloads or copies the CSV files of a data set into the lakehouse, and writes their receipts."""

import sys

from reco_platform.steps.bronze import main

if __name__ == "__main__":
    sys.exit(main())
