"""The verb that looks at a user's files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from reco_platform.cli.verbs import json_option, verb
from reco_platform.core.errors import ConfigError


@verb("inspect", "inspect folder/of/data", "inspect ratings.csv.gz --save mine.yaml", "inspect folder --json")
@click.argument("place", type=click.Path())
@click.option("--save", metavar="FILE", type=click.Path(), help="Write the config that fits to a YAML file.")
@click.option("--force", is_flag=True, help="Let --save replace a file.")
@json_option
def inspect(place: str, save: str | None, force: bool, as_json: bool) -> None:
    """PLACE is a folder, or one file of ratings. Its head and a sample are read; nothing is changed."""
    from reco_platform.datasets.inspection import words
    from reco_platform.datasets.inspection.detect import inspect as look

    found = look(Path(place).expanduser())
    if save is not None:
        write(Path(save), words.yaml_of(words.config_of(found)), force=force)
    if as_json:
        print(json.dumps(words.as_json(found), indent=1, ensure_ascii=False))
    else:
        print("\n".join([*words.lines_of(found), "", *words.next_lines(found, save)]))


def write(path: Path, text: str, *, force: bool) -> None:
    """Writes the config.

    Raises:
        ConfigError: the file is there already, or cannot be written.
    """
    if path.exists() and not force:
        raise ConfigError(f"--save {path}: there is such a file", "--force replaces it, or name another file")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--save {path}: cannot be written: {error.strerror}", "name a file in a folder of yours"
        ) from error
