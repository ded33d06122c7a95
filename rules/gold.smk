# Gold: interactions with folds, the ALS model, recommendations, evaluation, metrics.


rule interactions:
    """The latest rating of each user and movie, indexed, with a fold by time."""
    input:
        ratings=FLOW.receipt("ratings"),
    output:
        FLOW.receipt("interactions"),
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
        "python scripts/interactions.py --threads {threads}"
        " --ratings {input.ratings:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"


rule train_als:
    """The ALS model, trained on the train and validation folds."""
    input:
        interactions=FLOW.receipt("interactions"),
    output:
        FLOW.receipt("model"),
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
        "python scripts/train_als.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"


rule recommend:
    """The top N movies of every user of the training data."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
    output:
        FLOW.receipt("recommendations"),
    log:
        f"{LOGS}/recommend.log",
    benchmark:
        f"{LOGS}/recommend.benchmark.tsv"
    threads: workflow.cores
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("recommend"),
    shell:
        "python scripts/recommend.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"


rule evaluate:
    """The model's error on the test fold."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
    output:
        FLOW.receipt("evaluation"),
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
        "python scripts/evaluate.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"


rule run_metrics:
    """One JSON file on what was trained, on what, and how good it is."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
        evaluation=FLOW.receipt("evaluation"),
        recommendations=FLOW.receipt("recommendations"),
    output:
        FLOW.receipt("run_metrics"),
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
        "python scripts/run_metrics.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --evaluation {input.evaluation:q}"
        " --recommendations {input.recommendations:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee {log:q}"
