"""Snakemake's own lint over the rules, those of sweeps included; ends with 1 where it finds anything."""

import re
import subprocess
import sys
from pathlib import Path

ACCEPTED = {
    "Specify a conda environment or container for each rule.",  # one locked environment serves all: envs/runtime.txt
    "Shell command directly uses variable SCRIPTS from outside of the rule",  # where the scripts are shapes no result
}


def main() -> int:
    snakemake = Path(sys.executable).with_name("snakemake")
    run = subprocess.run(
        [snakemake, "sweep", "--lint", "--workflow-profile", "none"], capture_output=True, text=True, check=False
    )
    said = run.stdout + run.stderr
    titles = re.findall(r"^    \* (.*):$", said, re.MULTILINE)
    if run.returncode and not titles:  # not lints, but an error
        print(said, file=sys.stderr)
        return 1
    left = [title for title in titles if title not in ACCEPTED]
    if left:
        print(said, file=sys.stderr)
    print(f"{len(left)} lints, {len(titles) - len(left)} accepted")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
