"""Verbs that change what earlier runs have made."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from reco_platform.cli.project_options import Invocation, on_a_project
from reco_platform.cli.verbs import verb
from reco_platform.core import project
from reco_platform.core.errors import ConfigError, RecoError
from reco_platform.core.words import counted

if TYPE_CHECKING:
    from reco_platform.maintenance import prune as pruning


@verb("clean", "clean", "clean --layer gold", "clean --yes --config dataset=ml-25m")
@on_a_project
@click.option("--layer", type=click.Choice(("bronze", "silver", "gold", "sweeps")),
              help="Only this layer. Default: the whole lakehouse.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask, for scripts.")
def clean(invocation: Invocation, layer: str | None, yes: bool) -> None:
    from reco_platform.engine.run_lock import lock_lakehouse
    from reco_platform.maintenance import clean as cleaning
    from reco_platform.pipeline.steps_table import LAYERS

    lakehouse = invocation.prepare().lakehouse
    if not lakehouse.folder.is_dir():
        print(f"[INFO] there is no lakehouse at {lakehouse.root}: nothing to remove")
        return
    cleaning.check_is_lakehouse(lakehouse)
    with lock_lakehouse(lakehouse):
        layers = (layer,) if layer else (*LAYERS, "runs")
        found = cleaning.layer_removals(lakehouse, layers)
        print("\n".join([f"To be removed from {lakehouse.root}:", *cleaning.removal_lines(found)]), flush=True)
        if not (yes or confirmed()):
            raise RecoError("nothing was removed")
        cleaning.remove(lakehouse, found)
        left = [] if layer else cleaning.remove_root(lakehouse)
    print(
        f"[SUCCESS] removed from {lakehouse.root}" + (f"; left, as not made by it: {', '.join(left)}" if left else "")
    )


def confirmed() -> bool:
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


@verb("prune", "prune --config retain_versions=5", "prune --yes --config retain_versions=5")
@on_a_project
@click.option("--yes", is_flag=True, help="Remove; otherwise it is only listed.")
def prune(invocation: Invocation, yes: bool) -> None:
    """What the kept model versions were made from stays."""
    from reco_platform.engine.run_lock import lock_lakehouse
    from reco_platform.maintenance import clean as cleaning
    from reco_platform.maintenance import prune as pruning

    workflow = invocation.prepare()
    keep, lakehouse = workflow.config.retain_versions, workflow.lakehouse
    if keep is None:
        command = project.command("prune", "--config retain_versions=5")
        print(f"[INFO] retain_versions is not set, so everything is kept\n  -> {command}")
        return
    if not lakehouse.folder.is_dir():
        print(f"[INFO] there is no lakehouse at {lakehouse.root}")
        return
    cleaning.check_is_lakehouse(lakehouse)
    if not yes:
        show(pruning.plan(lakehouse, keep))
        print("[INFO] nothing was removed; --yes removes it")
        return
    with lock_lakehouse(lakehouse):
        plan = pruning.plan(lakehouse, keep)
        show(plan)
        cleaning.remove(lakehouse, plan.removals)
    print(f"[SUCCESS] {counted(len(plan.removals), 'item')} removed from {lakehouse.root}")


def show(plan: pruning.Plan) -> None:
    from reco_platform.maintenance import clean as cleaning

    print(f"Model versions that stay: {', '.join(plan.kept) or 'none'}")
    print(f"Model versions that go:   {', '.join(plan.dropped) or 'none'}")
    print("\n".join(cleaning.removal_lines(plan.removals)), flush=True)


@verb("promote", "promote 6eab05d6-5d7885f9")
@on_a_project
@click.argument("model_version")
def promote(invocation: Invocation, model_version: str) -> None:
    """It is promoted whether or not it is better than the champion that it replaces."""
    from reco_platform.maintenance import promote as promotion

    print(promotion.promote(invocation.prepare(), model_version))
