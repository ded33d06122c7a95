"""Copies the file of a receipt to a path without version, for Snakemake's own report."""

import argparse
import os
import sys

from reco_platform.core import terminal
from reco_platform.lakehouse import layout, receipts
from reco_platform.store import atomic_write
from reco_platform.store.paths import store_path


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/latest.py", description=__doc__)
    parser.add_argument("receipt", help="of a file, or of a folder with the file")
    parser.add_argument("target", help="path of the copy")
    parser.add_argument("--file", default="", help="which file of the folder")
    parser.add_argument("--lakehouse", default=os.environ.get(layout.LAKEHOUSE, "."), help="root of the lakehouse")
    arguments = parser.parse_args()
    source = store_path(arguments.lakehouse) / receipts.read(arguments.receipt).path / arguments.file
    atomic_write.write_bytes(arguments.target, source.read_bytes())
    return 0


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
