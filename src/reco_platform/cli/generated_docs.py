"""Files generated from the code: config defaults and schemas, rules, pages of the docs, and .env.example."""

from __future__ import annotations

import json

from reco_platform.cli import python_docs
from reco_platform.config.model import Config
from reco_platform.config.render import defaults_yaml, docs_table, env_example
from reco_platform.contracts.tables import CONTRACTS, Contract, Field
from reco_platform.core import project
from reco_platform.engine import journal, run_summary
from reco_platform.evaluation import metrics_file
from reco_platform.fingerprint.spec import arrow_type
from reco_platform.pipeline.rule_files import rule_file, steps_page
from reco_platform.store.atomic_write import write_text

WRITTEN = "Written by `make docs`; do not edit."

CONFIGURATION = f"""# Configuration
<!-- {WRITTEN} -->

Every key is flat and has a default in `config/config.yaml`. A value comes from the first of these that gives one:

1. `--config key=value` or `--configfile file.yaml`
2. the environment variable in the table
3. `config/config.yaml`

    snakemake --cores 2 gold --config rank=20 reg_param=0.05
    ALS_RANK=20 make gold

`.env.example` holds every variable with its default. Copy it to `.env`, change it, and load it into a shell:

    cp .env.example .env
    set -a; . ./.env; set +a

A wrong key or value stops the run before any job, with what is allowed and the nearest name.

"""


def contracts_page() -> str:
    """Every table's grain, key and columns, as Markdown."""
    parts = [f"# Data contracts\n<!-- {WRITTEN} -->\n", "What each table promises; a sample is checked in every run."]
    return "\n".join([*parts, *map(contract_section, CONTRACTS.values())])


def contract_section(contract: Contract) -> str:
    lines = [f"\n## {contract.name}", f"One row: {contract.grain}."]
    if contract.key:
        lines[-1] += f" No two rows share {', '.join(f'`{name}`' for name in contract.key)}."
    if contract.partition_by:
        lines[-1] += f" Partitioned by {', '.join(f'`{name}`' for name in contract.partition_by)}."
    lines += ["", "| Column | Type | May be null | Range | Meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{field.name}` | {arrow_type(field.type)} | {'yes' if field.nullable else 'no'} | {bounds(field)} |"
        f" {field.description.replace('|', chr(92) + '|')} |"
        for field in contract.fields
    ]
    return "\n".join(lines) + "\n"


def bounds(field: Field) -> str:
    low = "" if field.minimum is None else f"{field.minimum:g}"
    high = "" if field.maximum is None else f"{field.maximum:g}"
    return f"{low} to {high}" if low and high else f"{low} and up" if low else ""


def schema_text() -> str:
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


def generated() -> dict[str, str]:
    """The text of every generated file by its path."""
    return {
        "config/config.yaml": defaults_yaml(),
        "config/config.schema.json": schema_text(),
        "docs/run_metrics.schema.json": json.dumps(metrics_file.schema(), indent=1) + "\n",
        "docs/run_event.schema.json": json.dumps(journal.Event.model_json_schema(), indent=1) + "\n",
        "docs/run_summary.schema.json": json.dumps(run_summary.Summary.model_json_schema(), indent=1) + "\n",
        "docs/configuration.md": CONFIGURATION + docs_table(),
        "docs/contracts.md": contracts_page(),
        "docs/steps.md": steps_page(),
        "rules/silver.smk": rule_file("silver"),
        "rules/gold.smk": rule_file("gold"),
        "docs/python.md": python_docs.page(WRITTEN),
        ".env.example": env_example(),
    }


def write_all() -> list[str]:
    """Writes every generated file into the checkout; gives their paths."""
    found = generated()
    for path, text in found.items():
        write_text(project.file(path), text)
    return list(found)
