"""Verbs that list and compare the runs of a lakehouse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from reco_platform.cli.project_options import Invocation, on_a_project
from reco_platform.cli.verbs import json_option, verb
from reco_platform.core.errors import ConfigError


@verb("runs", "runs", "runs --json", "runs --config dataset=ml-25m")
@on_a_project
@json_option
def runs(invocation: Invocation, as_json: bool) -> None:
    """The newest run comes first. Each has its headline metrics with 95% intervals, and what differs from the run
    before it. The champion is the model that last passed the gate."""
    from reco_platform.core import project
    from reco_platform.maintenance import runs as past

    lakehouse = invocation.prepare().lakehouse
    found = past.past_runs(lakehouse)
    if as_json:
        champion = past.champion_of(found)
        print(json.dumps([{**run.as_json(), "champion": run.version == champion} for run in found], indent=1))
    elif found:
        print("\n".join(past.lines(found)))
    else:
        print(f"[INFO] {lakehouse.root} has no runs yet\n  -> {project.run_command('gold')}")


@verb("compare", "compare 6eab05d6-980cbb4a 37203fb4-980cbb4a", "compare 6eab 3720 --html compare.html")
@on_a_project
@click.argument("versions", nargs=-1, required=True, metavar="A B [C]...")
@click.option("--html", type=click.Path(), help="Write the comparison as an HTML page, too.")
@json_option
def compare(invocation: Invocation, versions: Sequence[str], html: str | None, as_json: bool) -> None:
    """A, B, C are model versions, or their beginnings; B and C are compared with A. `reco runs` lists them. Differences
    in metrics come with the paired interval on the same test fold."""
    from reco_platform.maintenance import compare as comparison
    from reco_platform.maintenance import runs as past

    if len(versions) < 2:
        raise ConfigError("compare needs two runs or more", "list them: reco runs")
    target = Path(invocation.argument(html)) if html else None
    lakehouse = invocation.prepare().lakehouse
    known = past.past_runs(lakehouse)
    first, *others = (past.find(known, version) for version in versions)
    found = [comparison.compare(lakehouse, first, other) for other in others]
    if target:
        try:
            target.write_text(comparison.page(found), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--html {html}: {error.strerror}", "name another file") from error
    if as_json:
        print(json.dumps([one.as_json() for one in found], indent=1))
        return
    print("\n\n".join("\n".join(comparison.lines(one)) for one in found))
    if target:
        print(f"  page  {target}")
