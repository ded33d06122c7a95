"""The pipeline from a command line: etl and train run Snakemake's targets, validate checks what they made."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from reco_platform import validation, workflow
from reco_platform.errors import reported

TARGETS = {"etl": "silver", "train": "gold"}
RULE = "=" * 80


def parser() -> argparse.ArgumentParser:
    shape = argparse.ArgumentParser(prog="tools/run_pipeline.py", description=__doc__)
    commands = shape.add_subparsers(dest="command", required=True)
    for name, target in TARGETS.items():
        one = commands.add_parser(name, help=f"print the command that makes {target}; RUN_LOCAL=1 runs it")
        one.add_argument("--cores", default="all", help="cores for Snakemake")
        add_config(one)
    check = commands.add_parser("validate", help="check bronze, silver and gold against their receipts, without a JVM")
    check.add_argument("--layer", choices=validation.LAYERS, help="only this layer")
    check.add_argument("--deep", action="store_true", help="also compute every fingerprint anew")
    check.add_argument("--json", action="store_true", help="the findings as one JSON object")
    add_config(check)
    return shape


def add_config(shape: argparse.ArgumentParser) -> None:
    shape.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as for snakemake")


def run_target(target: str, cores: str, pairs: list[str]) -> int:
    """Prints the command; runs it where RUN_LOCAL=1."""
    workflow.prepare(workflow.overrides(pairs))
    given = ["--config", *pairs] if pairs else []
    command = [str(Path(sys.executable).with_name("snakemake")), "--cores", cores, target, *given]
    print(shlex.join(command), flush=True)
    if os.environ.get("RUN_LOCAL") != "1":
        print("[INFO] only printed; RUN_LOCAL=1 runs it", flush=True)
        return 0
    return subprocess.run(command, check=False).returncode


def run_validate(arguments: argparse.Namespace) -> int:
    house = workflow.prepare(workflow.overrides(arguments.config)).house
    layers = (arguments.layer,) if arguments.layer else validation.LAYERS
    if arguments.json:
        found = validation.as_json(list(validation.validate(house, layers, deep=arguments.deep)))
        print(json.dumps(found, indent=1))
        return 0 if found["passed"] else 1
    names = "/".join(layer.capitalize() for layer in layers)
    print(f"{RULE}\nValidation: Checking {names} Layer{'s' if len(layers) > 1 else ''}\n{RULE}")
    errors = 0
    for finding in validation.validate(house, layers, deep=arguments.deep):
        print(finding, flush=True)
        errors += finding.level == "error"
    print()
    if errors:
        things = f"{errors} thing{'s are' if errors > 1 else ' is'} missing or inconsistent"
        print(f"[ERROR] Validation failed: {things}\n  -> snakemake --cores 2 gold rebuilds what is missing")
        return 1
    print("[SUCCESS] Validation passed!")
    return 0


@reported
def main() -> int:
    arguments = parser().parse_args()
    if arguments.command == "validate":
        return run_validate(arguments)
    return run_target(TARGETS[arguments.command], arguments.cores, arguments.config)


if __name__ == "__main__":
    sys.exit(main())
