# The report that a person reads.


rule report:
    """One HTML file on the run: data, parameters, quality, some users' recommendations."""
    input:
        etl_report=FLOW.receipt("etl_report"),
        movies=FLOW.receipt("movies"),
        tags=FLOW.receipt("tags"),
        interactions=FLOW.receipt("interactions"),
        recommendations=FLOW.receipt("recommendations"),
        run_metrics=FLOW.receipt("run_metrics"),
    output:
        FLOW.receipt("report"),
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{LOGS}/report.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("report"),
    shell:
        "python scripts/report.py --threads {threads}"
        " --etl-report {input.etl_report:q}"
        " --movies {input.movies:q}"
        " --tags {input.tags:q}"
        " --interactions {input.interactions:q}"
        " --recommendations {input.recommendations:q}"
        " --run-metrics {input.run_metrics:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"
