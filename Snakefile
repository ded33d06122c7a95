"""MovieLens CSV (bronze) to checked tables (silver) to an ALS model, top-N lists, metrics and a report (gold)."""

import sys

sys.path.insert(0, str(Path(workflow.basedir) / "src"))
from reco_platform import workflow as pipeline

FLOW = pipeline.prepare_or_exit(config)
if workflow.is_main_process:
    LOCK = pipeline.start(FLOW, config, sys.argv)

COMMON = f"--lakehouse {pipeline.shlex.quote(FLOW.house.root)} --dataset {pipeline.shlex.quote(FLOW.house.dataset)}"
SPARK = f"--memory {FLOW.config.driver_memory} --log-level {FLOW.config.log_level}"
PYTHON = pipeline.shlex.quote(sys.executable)
LOGS = f"{FLOW.house.receipts}/_logs"


include: "rules/bronze.smk"
include: "rules/silver.smk"
include: "rules/gold.smk"
include: "rules/report.smk"


localrules:
    gold,
    silver,
    bronze_files,


rule gold:
    """Everything: tables, model, recommendations, metrics, report."""
    default_target: True
    input:
        FLOW.all_receipts,


rule silver:
    """The cleaned tables and the report on them."""
    input:
        rules.bronze.output,
        FLOW.silver_receipts,


rule bronze_files:
    """The CSV files."""
    input:
        rules.bronze.output,


onsuccess:
    print(pipeline.closing(FLOW))
    print(pipeline.gold_summary(FLOW) or "")


onerror:
    print(pipeline.closing(FLOW), file=sys.stderr)
    print(
        f"Logs: {LOGS}. Mend what the [ERROR] line says and run the same command again.",
        file=sys.stderr,
    )
