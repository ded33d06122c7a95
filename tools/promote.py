"""Makes a registered model the champion, whether or not it is better, and says whom it replaces."""

import argparse
import os
import sys

from reco_platform import tracking, workflow
from reco_platform.errors import EnvironmentProblemError, TableError, reported
from reco_platform.uris import redacted


@reported
def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/promote.py", description=__doc__)
    parser.add_argument("model_version", help="such as 6eab05d6-5d7885f9")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="as for snakemake")
    arguments = parser.parse_args()
    asked = workflow.prepare(workflow.overrides(arguments.config)).config
    environ = {**os.environ, tracking.VARIABLE: asked.mlflow_tracking_uri or ""}
    print(promoted(asked.registered_model, arguments.model_version, environ))
    return 0


def promoted(name: str, version: str, environ: dict[str, str]) -> str:
    """Promotes a model, and says what that changed.

    Raises:
        TableError: no such model is registered.
        EnvironmentProblemError: the store does not do it.
    """
    try:
        with tracking.Session(environ) as store:
            found = store.ask("promote", name=name, model_version=version)
    except tracking.StoreProblemError as problem:
        where = redacted(tracking.address(environ))
        raise EnvironmentProblemError(
            f"MLflow at {where}: {problem.reason} {problem.detail}".rstrip(), "nothing was changed; try again"
        ) from problem
    if "known" in found:
        known = ", ".join(found["known"]) or "none"
        raise TableError(f"{name} has no registered model {version!r}", f"give one of these: {known}")
    if found["replaced"] == version:
        return f"{version} is the champion of {name} already: nothing changed"
    return f"{version} is now the champion of {name}; it replaces {found['replaced'] or 'nobody: there was none'}"


if __name__ == "__main__":
    sys.exit(main())
