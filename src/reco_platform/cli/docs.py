"""The verb that writes the generated files of a checkout."""

from __future__ import annotations

from reco_platform.cli.verbs import verb
from reco_platform.core import project
from reco_platform.core.errors import ConfigError


@verb("docs", "docs")
def docs() -> None:
    from reco_platform.cli import generated_docs

    if not project.IS_CHECKOUT:
        raise ConfigError("docs writes files of a source checkout, and reco_platform is installed", "git clone it")
    for path in generated_docs.write_all():
        print(path)
