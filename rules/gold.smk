# Gold: interactions with folds, the ALS model, recommendations, evaluation, metrics.


rule interactions:
    """The latest rating of each user and movie, indexed, with a fold by time."""
    input:
        ratings=FLOW.silver("ratings"),
    output:
        FLOW.receipt(pipeline.layout.INTERACTIONS),
    log:
        f"{LOGS}/interactions.log",
    benchmark:
        f"{LOGS}/interactions.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        step=FLOW.params("interactions"),
    shell:
        "{PYTHON} scripts/interactions.py {COMMON} --threads {threads}"
        " --ratings {input.ratings:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"


rule train_als:
    """The ALS model, trained on the train and validation folds."""
    input:
        interactions=FLOW.receipt(pipeline.layout.INTERACTIONS),
    output:
        FLOW.receipt(pipeline.layout.MODELS),
    log:
        f"{LOGS}/train_als.log",
    benchmark:
        f"{LOGS}/train_als.benchmark.tsv"
    threads: workflow.cores
    resources:
        mem_mb=3000,
    params:
        step=FLOW.params("train_als"),
    shell:
        "{PYTHON} scripts/train_als.py {COMMON} {SPARK} --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"


rule recommend:
    """The top N movies of every user of the training data."""
    input:
        interactions=FLOW.receipt(pipeline.layout.INTERACTIONS),
        model=FLOW.receipt(pipeline.layout.MODELS),
    output:
        FLOW.receipt(pipeline.layout.RECOMMENDATIONS),
    log:
        f"{LOGS}/recommend.log",
    benchmark:
        f"{LOGS}/recommend.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("recommend"),
    shell:
        "{PYTHON} scripts/recommend.py {COMMON} --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"


rule evaluate:
    """The model's error on the test fold."""
    input:
        interactions=FLOW.receipt(pipeline.layout.INTERACTIONS),
        model=FLOW.receipt(pipeline.layout.MODELS),
    output:
        FLOW.receipt(f"{pipeline.layout.EVALUATION}/evaluation"),
    log:
        f"{LOGS}/evaluate.log",
    benchmark:
        f"{LOGS}/evaluate.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("evaluate"),
    shell:
        "{PYTHON} scripts/evaluate.py {COMMON} --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"


rule run_metrics:
    """One JSON file on what was trained, on what, and how good it is."""
    input:
        interactions=FLOW.receipt(pipeline.layout.INTERACTIONS),
        model=FLOW.receipt(pipeline.layout.MODELS),
        evaluation=FLOW.receipt(f"{pipeline.layout.EVALUATION}/evaluation"),
        recommendations=FLOW.receipt(pipeline.layout.RECOMMENDATIONS),
    output:
        FLOW.receipt(pipeline.layout.RUN_METRICS),
    log:
        f"{LOGS}/run_metrics.log",
    benchmark:
        f"{LOGS}/run_metrics.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("run_metrics"),
    shell:
        "{PYTHON} scripts/run_metrics.py {COMMON} --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --evaluation {input.evaluation:q}"
        " --recommendations {input.recommendations:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"
