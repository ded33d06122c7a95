#!/usr/bin/env python3
"""The pipeline from a command line: run it, check it, ask what is out of date and why, and clear it away."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from reco_platform.config import commands
from reco_platform.config.model import Config
from reco_platform.config.secrets import redact_word
from reco_platform.core.errors import ConfigError, RecoError, report_errors
from reco_platform.maintenance import clean, prune, validate
from reco_platform.pipeline import explain, invocation, workflow
from reco_platform.pipeline import plan as status
from reco_platform.pipeline.steps_table import LAYERS
from reco_platform.pipeline.workflow import Workflow

TARGETS = {"etl": "silver", "train": "gold", "sweep": "sweep"}
RULE = "=" * 80
CODES = """
exit codes:
  0  all is well
  1  failed: the pipeline stopped, a check found something, or nothing was removed
  2  a wrong command, key or value; nothing was done"""
PROG = "run_pipeline.py"
TOOL = f"tools/{PROG}"


def parser() -> argparse.ArgumentParser:
    shape = argparse.ArgumentParser(
        prog=PROG, description=__doc__, epilog=f"{PROG} COMMAND --help says more.\n{CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = shape.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = partial(command, commands)
    for name, target in TARGETS.items():
        one = add(name, run_target, f"print the command that makes {target}, and run it with --run or RUN_LOCAL=1",
                  f"{TOOL} {name}", f"{TOOL} {name} --run --cores 2 --config rank={'10,50' if name == 'sweep' else 20}",
                  f"RUN_LOCAL=1 {TOOL} {name} --configfile mine.yaml")  # fmt: skip
        one.add_argument("--cores", default="all", help="cores for Snakemake (default: all)")
        one.add_argument("--run", action="store_true", help="run the command; RUN_LOCAL=1 does the same")
        one.add_argument(
            "--force-overwrite",
            action="store_true",
            help="replace what stands at the path of a table and is none of the pipeline's own",
        )
    one = add("validate", run_validate, "check every layer against its receipts, without a JVM",
              f"{TOOL} validate", f"{TOOL} validate --layer silver --deep --json")  # fmt: skip
    one.add_argument("--layer", choices=validate.LAYERS, help="only this layer")
    one.add_argument("--deep", action="store_true", help="also compute every checksum and fingerprint anew")
    add_json(one)
    one = add("status", run_status, "what the next run of gold would do, and why; changes nothing",
              f"{TOOL} status", f"{TOOL} status --config rank=20", f"{TOOL} status --json")  # fmt: skip
    add_json(one)
    one = add("explain", run_explain, "what a result was made from, back to the CSV files, and what differs now",
              f"{TOOL} explain", f"{TOOL} explain model --config rank=20", f"{TOOL} explain --json")  # fmt: skip
    one.add_argument("result", nargs="?", default="report",
                     help=f"{', '.join(explain.RESULTS)} (default: report); sweeps/data, sweeps/NAME, sweeps/trials/ID",
                     )  # fmt: skip
    add_json(one)
    one = add("clean", run_clean, "remove what the pipeline made: list it with sizes, ask, remove",
              f"{TOOL} clean", f"{TOOL} clean --layer gold", f"{TOOL} clean --yes --config dataset=ml-25m")  # fmt: skip
    one.add_argument("--layer", choices=LAYERS, help="only this layer (default: the whole lakehouse)")
    one.add_argument("--yes", action="store_true", help="do not ask, for scripts")
    one = add("prune", run_prune, "list what lies beyond the newest retain_versions model versions; remove with --yes",
              f"{TOOL} prune --config retain_versions=5", f"{TOOL} prune --yes --config retain_versions=5")  # fmt: skip
    one.add_argument("--yes", action="store_true", help="remove it; otherwise it is only listed")
    one = add("completion", run_completion, "print the completion of this command line for a shell",
              f"source <({TOOL} completion bash)")  # fmt: skip
    one.add_argument("shell", choices=("bash", "zsh"), help="which shell")
    for name, one in commands.choices.items():
        if name != "completion":
            add_config(one)
    return shape


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], what: str, *examples: str) -> Any:
    """Adds a command with its examples and the exit codes to its help."""
    shown = "\n".join(f"  {example}" for example in examples)
    one = commands.add_parser(
        name, help=what, description=what[0].upper() + what[1:] + ".", epilog=f"examples:\n{shown}\n{CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    one.set_defaults(run_command=run)
    return one


def add_config(shape: argparse.ArgumentParser) -> None:
    one = shape.add_argument(
        "--config", nargs="*", default=[], metavar="KEY=VALUE", help="as for snakemake; docs/configuration.md"
    )
    one.complete = {"bash": "_reco_keys", "zsh": "_reco_keys"}  # type: ignore[attr-defined]  # read by shtab
    two = shape.add_argument("--configfile", nargs="*", default=[], metavar="FILE", help="YAML files of keys")
    two.complete = {"bash": "_shtab_compgen_files", "zsh": "_files"}  # type: ignore[attr-defined]


def add_json(shape: argparse.ArgumentParser) -> None:
    shape.add_argument("--json", action="store_true", help="one JSON object on stdout, for programs")


def asked(arguments: argparse.Namespace) -> Workflow:
    return workflow.prepare(workflow.overrides(arguments.config, arguments.configfile))


# --- commands


def run_target(arguments: argparse.Namespace) -> int:
    """Prints the command; with --run or RUN_LOCAL=1 this process becomes it, so that signals reach it."""
    target = TARGETS[arguments.command]
    prepare = workflow.prepare_sweep if target == "sweep" else workflow.prepare
    prepare(workflow.overrides(arguments.config, arguments.configfile))
    pairs = [*arguments.config, *([f"{commands.FORCE}=true"] if arguments.force_overwrite else [])]
    given = [
        *(["--configfile", *arguments.configfile] if arguments.configfile else []),
        *(["--config", *pairs] if pairs else []),
    ]
    words = [str(Path(sys.executable).with_name("snakemake")), "--cores", arguments.cores, target, *given]
    print(shlex.join(map(redact_word, words)), flush=True)
    if not (arguments.run or os.environ.get("RUN_LOCAL") == "1"):
        print("[INFO] only printed; --run or RUN_LOCAL=1 runs it", flush=True)
        return 0
    os.execv(words[0], words)  # noqa: S606  # a list, no shell


def run_validate(arguments: argparse.Namespace) -> int:
    flow = asked(arguments)
    layers = (arguments.layer,) if arguments.layer else validate.LAYERS
    findings = validate.validate(flow, layers, deep=arguments.deep)
    if arguments.json:
        found = validate.as_json(list(findings))
        print(json.dumps(found, indent=1))
        return 0 if found["passed"] else 1
    names = "/".join(layer.capitalize() for layer in layers)
    print(f"{RULE}\nValidation: Checking {names} Layer{'s' if len(layers) > 1 else ''}\n{RULE}")
    errors = 0
    for finding in findings:
        print(finding, flush=True)
        errors += finding.level == "error"
    print(flush=True)
    if errors:
        things = f"{errors} thing{'s are' if errors > 1 else ' is'} missing or inconsistent"
        raise RecoError(f"Validation failed: {things}", "below each stands the command that repairs it")
    print("[SUCCESS] Validation passed!")
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    flow = asked(arguments)
    pid = status.at_work(flow)
    if pid:
        print(f"[INFO] process {pid} is at work in {flow.lakehouse.root}: this will age", file=sys.stderr)
    found = status.status(flow)
    print(json.dumps(found.as_json(), indent=1) if arguments.json else "\n".join(found.lines()))
    return 0


def run_explain(arguments: argparse.Namespace) -> int:
    flow = asked(arguments)
    made = explain.explain(flow.lakehouse, flow.config, arguments.result)
    print(json.dumps(made.as_json(), indent=1) if arguments.json else "\n".join(explain.lines(made)))
    return 0


def run_clean(arguments: argparse.Namespace) -> int:
    lakehouse = asked(arguments).lakehouse
    if not lakehouse.folder.is_dir():
        print(f"[INFO] there is no lakehouse at {lakehouse.root}: nothing to remove")
        return 0
    clean.refuse_foreign(lakehouse)
    with invocation.locked(lakehouse):
        layers = (arguments.layer,) if arguments.layer else (*LAYERS, "runs")
        found = clean.of_layers(lakehouse, layers)
        print("\n".join([f"To be removed from {lakehouse.root}:", *clean.listed(found)]), flush=True)
        if not (arguments.yes or agreed()):
            raise RecoError("nothing was removed")
        clean.remove(lakehouse, found)
        left = [] if arguments.layer else clean.remove_root(lakehouse)
    print(
        f"[SUCCESS] removed from {lakehouse.root}" + (f"; left, as not made by it: {', '.join(left)}" if left else "")
    )
    return 0


def agreed() -> bool:
    """Whether the person at the terminal says yes.

    Raises:
        ConfigError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise ConfigError("there is no terminal to ask at, so nothing was removed", "--yes removes without asking")
    try:
        return input("Remove all this? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def run_prune(arguments: argparse.Namespace) -> int:
    flow = asked(arguments)
    keep, lakehouse = flow.config.retain_versions, flow.lakehouse
    if keep is None or not lakehouse.folder.is_dir():
        why = (
            f"there is no lakehouse at {lakehouse.root}"
            if keep
            else "retain_versions is not set, so everything is kept"
        )
        print(f"[INFO] {why}" + ("" if keep else f"\n  -> {TOOL} prune --config retain_versions=5"))
        return 0
    clean.refuse_foreign(lakehouse)
    if not arguments.yes:
        show(prune.plan(lakehouse, keep))
        print("[INFO] nothing was removed; --yes removes it")
        return 0
    with invocation.locked(lakehouse):
        plan = prune.plan(lakehouse, keep)
        show(plan)
        clean.remove(lakehouse, plan.removals)
    print(f"[SUCCESS] {len(plan.removals)} things removed from {lakehouse.root}")
    return 0


def show(plan: prune.Plan) -> None:
    print(f"Model versions that stay: {', '.join(plan.kept) or 'none'}")
    print(f"Model versions that go:   {', '.join(plan.dropped) or 'none'}")
    print("\n".join(clean.listed(plan.removals)), flush=True)


KEYS = " ".join(f"{key}=" for key in Config.model_fields)
BEFORE = {
    "bash": f'_reco_keys() {{ compgen -W "{KEYS}" -- "$1"; }}\n',
    "zsh": f"_reco_keys() {{ compadd -S '' -- {KEYS}; }}\n",
}
AFTER = {  # bash adds a space, also after KEY=, unless it is told not to while it completes
    "bash": "_reco() { _shtab_run_pipeline_py; [[ $COMPREPLY != *= ]] || compopt -o nospace; }\n"
    f"complete -o bashdefault -F _reco {PROG}",
    "zsh": "",
}


def run_completion(arguments: argparse.Namespace) -> int:
    import shtab  # noqa: PLC0415  # no other command needs it

    shell = arguments.shell
    print(shtab.complete(parser(), shell, preamble=BEFORE[shell]), AFTER[shell], sep="\n")
    return 0


@report_errors
def main() -> int:
    arguments = parser().parse_args()
    found: int = arguments.run_command(arguments)
    return found


if __name__ == "__main__":
    sys.exit(main())
