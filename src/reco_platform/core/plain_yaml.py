"""YAML whose scalars are text as it was typed.

YAML 1.1 reads 77_0193 as the number 770193, 007 as 7, 1:30 as 90 and on as true. A name must not change so, and the
type of each key is known anyway: the configuration converts text where it expects a number.
"""

from __future__ import annotations

import re
from typing import Any

import yaml


class TextLoader(yaml.SafeLoader):
    """Reads plain scalars as text, except ~, null and nothing, which are None, and <<, which merges mappings."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  # as PyYAML has it


for tag, pattern, letters in (
    ("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:merge", re.compile(r"<<\Z"), ["<"]),
):
    TextLoader.add_implicit_resolver(tag, pattern, letters)


def load(text: str) -> Any:
    """The content of a YAML document; mappings, lists, text and None.

    Raises:
        yaml.YAMLError: it is not YAML, or has tags other than YAML's own.
    """
    return yaml.load(text, TextLoader)  # noqa: S506  # a SafeLoader
