# Gold: interactions with folds, the ALS model and its baseline, recommendations, evaluation, metrics.


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
        "python {SCRIPTS:q}/interactions.py --threads {threads}"
        " --ratings {input.ratings:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


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
        "python {SCRIPTS:q}/train_als.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


rule train_plain:
    """Plain ALS on the same folds: a baseline where the model has biases."""
    input:
        interactions=FLOW.receipt("interactions"),
    output:
        FLOW.receipt("als_plain"),
    log:
        f"{LOGS}/train_plain.log",
    benchmark:
        f"{LOGS}/train_plain.benchmark.tsv"
    threads: workflow.cores
    resources:
        mem_mb=3000,
    params:
        step=FLOW.params("train_plain"),
    shell:
        "python {SCRIPTS:q}/train_plain.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


rule refit:
    """The model that is served, trained on all folds; part of gold with refit=true."""
    input:
        interactions=FLOW.receipt("interactions"),
    output:
        FLOW.receipt("als_refit"),
    log:
        f"{LOGS}/refit.log",
    benchmark:
        f"{LOGS}/refit.benchmark.tsv"
    threads: workflow.cores
    resources:
        mem_mb=3000,
    params:
        step=FLOW.params("refit"),
    shell:
        "python {SCRIPTS:q}/refit.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


rule recommend:
    """The top N movies of every user whom the served model knows."""
    input:
        interactions=FLOW.receipt("interactions"),
        served_model=FLOW.receipt("served_model"),
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
        "python {SCRIPTS:q}/recommend.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --served-model {input.served_model:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


rule fallback:
    """The most popular movies for all other users; part of gold with fallback_lists=true."""
    input:
        interactions=FLOW.receipt("interactions"),
        served_model=FLOW.receipt("served_model"),
    output:
        FLOW.receipt("fallback"),
    log:
        f"{LOGS}/fallback.log",
    benchmark:
        f"{LOGS}/fallback.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("fallback"),
    shell:
        "python {SCRIPTS:q}/fallback.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --served-model {input.served_model:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


rule evaluate:
    """The model's error on the test fold."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
        plain_model=FLOW.receipt("plain_model"),
        movies=FLOW.receipt("movies"),
    output:
        FLOW.receipt("evaluation"),
    log:
        f"{LOGS}/evaluate.log",
    benchmark:
        f"{LOGS}/evaluate.benchmark.tsv"
    threads: workflow.cores
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("evaluate"),
    shell:
        "python {SCRIPTS:q}/evaluate.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --plain-model {input.plain_model:q}"
        " --movies {input.movies:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


rule run_metrics:
    """One JSON file on what was trained, on what, and how good it is."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
        served_model=FLOW.receipt("served_model"),
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
        "python {SCRIPTS:q}/run_metrics.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --served-model {input.served_model:q}"
        " --evaluation {input.evaluation:q}"
        " --recommendations {input.recommendations:q}"
        " --params {params.step:q} --receipt {output:q} 2>&1 | tee -i {log:q}"


rule metrics_table:
    """The same metrics as CSV, one a line."""
    input:
        run_metrics=FLOW.receipt("run_metrics"),
    output:
        receipt=FLOW.receipt("metrics_table"),
        table=report(
            FLOW.latest("metrics.csv"),
            caption="captions/metrics.rst",
            category="Model",
            labels={"what": "metrics"},
        ),
    log:
        f"{LOGS}/metrics_table.log",
    benchmark:
        f"{LOGS}/metrics_table.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("metrics_table"),
    shell:
        "python {SCRIPTS:q}/metrics_table.py --threads {threads}"
        " --run-metrics {input.run_metrics:q}"
        " --params {params.step:q} --receipt {output.receipt:q} 2>&1 | tee -i {log:q}"
        " && python {SCRIPTS:q}/latest.py {output.receipt:q} {output.table:q}"
