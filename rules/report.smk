# The report that a person reads.


rule report:
    """One HTML file on the run: is it good, its data, training, evaluation, some users, and where it came from."""
    input:
        etl_report=FLOW.receipt("etl_report"),
        ratings=FLOW.receipt("ratings"),
        movies=FLOW.receipt("movies"),
        tags=FLOW.receipt("tags"),
        interactions=FLOW.receipt("interactions"),
        recommendations=FLOW.receipt("recommendations"),
        run_metrics=FLOW.receipt("run_metrics"),
        gate=FLOW.receipt("gate"),
    output:
        receipt=FLOW.receipt("report"),
        page=report(
            FLOW.latest("report.html"),
            caption="captions/report.rst",
            category="Model",
            labels={"what": "report of the run"},
        ),
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
        "python {SCRIPTS:q}/report.py --threads {threads}"
        " --etl-report {input.etl_report:q}"
        " --ratings {input.ratings:q}"
        " --movies {input.movies:q}"
        " --tags {input.tags:q}"
        " --interactions {input.interactions:q}"
        " --recommendations {input.recommendations:q}"
        " --run-metrics {input.run_metrics:q}"
        " --gate {input.gate:q}"
        " --params {params.step:q} --receipt {output.receipt:q} 2>&1 | tee -i {log:q}"
        " && python {SCRIPTS:q}/latest.py {output.receipt:q} {output.page:q}"
