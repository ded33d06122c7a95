"""The text of the Snakemake rules and of the docs page that derive from the table of steps."""

from __future__ import annotations

from reco_platform.engine.step import Layer, Step
from reco_platform.pipeline.steps_table import STEPS

GENERATED = "Generated from src/reco_platform/pipeline/steps_table.py by `make docs`; do not edit."

HEADINGS: dict[Layer, str] = {
    "silver": "Silver: one table a rule, checked against its contract; rejected rows are kept with their reasons.",
    "gold": "Gold: interactions, models, recommendations, evaluation, metrics, report, tracking.",
}


def rule_file(layer: Layer) -> str:
    """The rules of a layer, one for each step."""
    rules = [rule(step) for step in STEPS.values() if step.layer == layer]
    return f"# {HEADINGS[layer]}\n# {GENERATED}\n\n\n" + "\n\n".join(rules)


def rule(step: Step) -> str:
    """The rule of a step."""
    receipt = "{output.receipt:q}" if step.report_copy else "{output:q}"
    lines = [
        f"rule {step.name}:",
        f'    """{step.description}"""',
        "    input:",
        *(f"        {keyword(name)}={input_of(step, name)}," for name in step.reads),
        "    output:",
        *output_lines(step),
        "    log:",
        f'        f"{{LOGS}}/{step.name}.log",',
        "    benchmark:",
        f'        f"{{LOGS}}/{step.name}.benchmark.tsv"',
        f"    threads: {'workflow.cores' if step.all_threads else 1}",
        "    resources:",
        f"        mem_mb={step.memory_mb},",
        "    params:",
        f'        step=FLOW.params("{step.name}"),',
        "    shell:",
        # exec: bash would print a message of its own on the terminal where the step is killed
        f'        "{"" if step.report_copy else "exec "}python {{SCRIPTS:q}}/{step.name}.py --threads {{threads}}"',
        *(f'        " --{name.replace("_", "-")} {{input.{keyword(name)}:q}}"' for name in step.reads),
        f'        " --params {{params.step:q}} --receipt {receipt} > {{log:q}} 2>&1"',
    ]
    if step.report_copy:
        lines.append('        " && python {SCRIPTS:q}/latest.py {output.receipt:q} {output.latest:q} >> {log:q} 2>&1"')
    return "\n".join(lines) + "\n"


def keyword(name: str) -> str:
    """An input's name in its rule: Snakemake keeps the names of a dict's methods, such as items, for itself."""
    return f"{name}_table" if hasattr(dict, name) else name


def input_of(step: Step, name: str) -> str:
    if name == "bronze":
        return f'FLOW.bronze("{step.makes}")'
    return f'FLOW.optional("{name}")' if name in step.reads_if_made else f'FLOW.receipt("{name}")'


def output_lines(step: Step) -> list[str]:
    copy = step.report_copy
    if copy is None:
        return [f'        FLOW.receipt("{step.makes}"),']
    return [
        f'        receipt=FLOW.receipt("{step.makes}"),',
        "        latest=report(",
        f'            FLOW.latest("{copy.file}"),',
        f'            caption="captions/{copy.caption}",',
        f'            category="{copy.category}",',
        f'            labels={{"what": "{copy.label}"}},',
        "        ),",
    ]


def steps_page() -> str:
    """docs/steps.md: every step with what it reads, makes and depends on."""
    rows = [
        f"| `{step.name}` | {step.description} | {names(step.reads) or '-'} | `{step.artifact}` | "
        f"{names(step.keys) or '-'} |"
        for step in STEPS.values()
    ]
    return (
        f"# Steps\n<!-- {GENERATED} -->\n\n"
        "Each step is a rule of Snakemake, a script in `scripts/` and a module in `src/reco_platform/steps/`. A step\n"
        "runs again if one of its inputs, of its config keys or of the definitions that its script uses changes.\n\n"
        "| Step | What it makes | Reads | Path in the lakehouse | Config keys |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def names(several: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in several)
