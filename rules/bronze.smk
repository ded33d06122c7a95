# Bronze: the unchanged CSV files of the data set, and a receipt for each.
# Needs the network only for a data set of kind archive that is not cached.


rule bronze:
    """Generates, downloads or copies the CSV files, and describes each by its checksum."""
    input:
        ancient(FLOW.sources),  # changed files are detected by content before the first job
    output:
        FLOW.bronze_receipts,
    log:
        f"{LOGS}/bronze.log",
    benchmark:
        f"{LOGS}/bronze.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        step=FLOW.bronze_params,
        path=(
            ["--dataset-path", FLOW.config.dataset_path]
            if FLOW.config.dataset_path
            else []
        ),
        layout=FLOW.source_layout,
    shell:
        "exec python {SCRIPTS:q}/bronze.py {params.path:q} --layout {params.layout:q} --params {params.step:q} > {log:q} 2>&1"
