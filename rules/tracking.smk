# MLflow: the gate that makes a model champion or challenger, and the record of the run.


rule gate:
    """Registers the model, and compares it with the present champion."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
    output:
        FLOW.receipt("gate"),
    log:
        f"{LOGS}/gate.log",
    benchmark:
        f"{LOGS}/gate.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("gate"),
    shell:
        "python {SCRIPTS:q}/gate.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


rule track:
    """Logs the run: parameters, metrics, data set, files; part of gold unless tracking=false."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
        recommendations=FLOW.receipt("recommendations"),
        run_metrics=FLOW.receipt("run_metrics"),
        gate=FLOW.receipt("gate"),
        report=FLOW.receipt("report"),
    output:
        FLOW.receipt("tracking"),
    log:
        f"{LOGS}/track.log",
    benchmark:
        f"{LOGS}/track.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("track"),
    shell:
        "python {SCRIPTS:q}/track.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --recommendations {input.recommendations:q}"
        " --run-metrics {input.run_metrics:q}"
        " --gate {input.gate:q}"
        " --report {input.report:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"
