# Bronze: the CSV files of the data set, as they came, and a receipt for each.
# Needs the network only for a data set of kind archive that is not in the cache.


rule bronze:
    """Generates, downloads or copies the CSV files, and describes each by its checksum."""
    input:
        FLOW.sources,
    output:
        [FLOW.bronze(table) for table in pipeline.TABLES],
    params:
        step=FLOW.bronze_params,
        path=FLOW.config.dataset_path or "",
    log:
        f"{LOGS}/bronze.log",
    benchmark:
        f"{LOGS}/bronze.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "{PYTHON} scripts/bronze.py {COMMON} --dataset-path {params.path:q} --params {params.step:q} 2>&1 | tee {log:q}"
