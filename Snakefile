"""MovieLens CSV (bronze) to checked tables (silver) to an ALS model, top-N lists, metrics and a report (gold)."""

import sys

sys.path.insert(0, str(Path(workflow.basedir) / "src"))
from reco_platform.core import project, terminal
from reco_platform.engine import cleanup
from reco_platform.pipeline import (
    end_summary,
    invocation,
    workflow as pipeline,
)

terminal.prepare()
GIVEN = pipeline.given_or_exit(workflow.config_settings)
FLOW = pipeline.prepare_or_exit(GIVEN, sys.argv)
if workflow.is_main_process:
    TEMPORARY = (
        str(workflow.snakemake_tmp_dir),
        str(workflow.sourcecache.runtime_cache_path),
    )
    LOG_HANDLERS = workflow.logger_manager.plugin_handlers
    RUN = invocation.start(
        FLOW,
        GIVEN,
        sys.argv,
        TEMPORARY,
        lambda: any(getattr(one, "is_idle", False) for one in LOG_HANDLERS),
    )
else:
    invocation.join(FLOW, GIVEN)

LOGS = FLOW.lakehouse.logs
SCRIPTS = project.shown(project.file("scripts"))


include: "rules/bronze.smk"
include: "rules/silver.smk"
include: "rules/gold.smk"


if FLOW.sweep:

    include: "rules/sweep.smk"


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


onstart:
    cleanup.install_signal_handlers()


onsuccess:
    print(end_summary.success_text(FLOW, sys.argv, RUN.display))


onerror:
    print(end_summary.failure_text(FLOW, sys.argv, RUN.display), file=sys.stderr)
