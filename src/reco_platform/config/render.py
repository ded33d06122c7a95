"""Files generated from the configuration model: config.yaml, the docs table and .env.example."""

from __future__ import annotations

import shlex
from typing import Any

import yaml

from reco_platform.config.messages import allowed
from reco_platform.config.model import ENVIRONMENT, Config


def defaults_yaml() -> str:
    """The text of config/config.yaml: every key with its default, meaning and allowed values."""
    lines = [
        "# Every key and its default. Written by `make docs` from src/reco_platform/config/model.py.",
        "# Override for one run: snakemake --cores 2 gold --config rank=20",
    ]
    for key, field in Config.model_fields.items():
        lines += [
            "",
            f"# {field.description} ({allowed(key)})",
            yaml.safe_dump({key: yaml_value(field.default)}).strip(),
        ]
    return "\n".join(lines) + "\n"


def yaml_value(value: Any) -> Any:
    """A default as config.yaml writes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def yaml_text(value: Any) -> str:
    return str(yaml.safe_dump(yaml_value(value)).splitlines()[0])


def docs_table() -> str:
    """A Markdown table of every key."""
    variables = {key: variable for variable, key in ENVIRONMENT.items()}
    rows = ["| Key | Default | Allowed | Environment | Meaning |", "|---|---|---|---|---|"]
    for key, field in Config.model_fields.items():
        default = "" if field.default is None else f"`{yaml_text(field.default)}`"
        pattern_safe = allowed(key).replace("|", "\\|")
        variable = f"`{variables[key]}`" if key in variables else ""
        rows.append(f"| `{key}` | {default} | {pattern_safe} | {variable} | {field.description} |")
    return "\n".join(rows) + "\n"


ENV_HEADER = """# The environment variables that set a config key, each with its default. Written by `make docs`.
# Copy to .env, uncomment the lines to change, and load it: set -a; . ./.env; set +a
# --config key=value overrides a variable; a variable overrides config/config.yaml; an empty variable is ignored.
# A value with spaces or other special characters needs quotes, as in any shell: LAKEHOUSE_PATH='/my lake'
"""


def env_example() -> str:
    """The text of .env.example."""
    parts = [
        f"\n# {Config.model_fields[key].description} ({allowed(key)})\n#{variable}={env_value(key)}\n"
        for variable, key in ENVIRONMENT.items()
    ]
    return ENV_HEADER + "".join(parts)


def env_value(key: str) -> str:
    """A key's default, quoted for a shell."""
    default = Config.model_fields[key].default
    return "" if default is None else shlex.quote(str(yaml_value(default)))
