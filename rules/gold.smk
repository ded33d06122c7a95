# Gold: interactions, models, recommendations, evaluation, metrics, report, tracking.
# Generated from src/reco_platform/pipeline/steps_table.py by `make docs`; do not edit.


rule interactions:
    """The latest rating of each user and movie, with dense indexes and a fold."""
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
        "exec python {SCRIPTS:q}/interactions.py --threads {threads}"
        " --ratings {input.ratings:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


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
        "exec python {SCRIPTS:q}/train_als.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule train_plain:
    """ALS without biases on the same folds: a baseline for the model with biases."""
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
        "exec python {SCRIPTS:q}/train_plain.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule train_ranking:
    """The model that orders the lists, trained on the train and validation folds."""
    input:
        interactions=FLOW.receipt("interactions"),
    output:
        FLOW.receipt("ranking_model"),
    log:
        f"{LOGS}/train_ranking.log",
    benchmark:
        f"{LOGS}/train_ranking.benchmark.tsv"
    threads: workflow.cores
    resources:
        mem_mb=3000,
    params:
        step=FLOW.params("train_ranking"),
    shell:
        "exec python {SCRIPTS:q}/train_ranking.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule refit:
    """The served model, trained on all folds; with refit=true and ranking_model=explicit."""
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
        "exec python {SCRIPTS:q}/refit.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule refit_ranking:
    """The served ranking model, trained on all folds; part of gold with refit=true."""
    input:
        interactions=FLOW.receipt("interactions"),
    output:
        FLOW.receipt("ranking_refit"),
    log:
        f"{LOGS}/refit_ranking.log",
    benchmark:
        f"{LOGS}/refit_ranking.benchmark.tsv"
    threads: workflow.cores
    resources:
        mem_mb=3000,
    params:
        step=FLOW.params("refit_ranking"),
    shell:
        "exec python {SCRIPTS:q}/refit_ranking.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


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
        "exec python {SCRIPTS:q}/recommend.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --served-model {input.served_model:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


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
        "exec python {SCRIPTS:q}/fallback.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --served-model {input.served_model:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule evaluate:
    """Metrics of the models and the baselines on the test fold, with intervals."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
        plain_model=FLOW.receipt("plain_model"),
        ranking=FLOW.receipt("ranking"),
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
        "exec python {SCRIPTS:q}/evaluate.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --plain-model {input.plain_model:q}"
        " --ranking {input.ranking:q}"
        " --movies {input.movies:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule run_metrics:
    """One JSON file on what was trained, on what data, and how good it is."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
        ranking=FLOW.receipt("ranking"),
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
        "exec python {SCRIPTS:q}/run_metrics.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --ranking {input.ranking:q}"
        " --served-model {input.served_model:q}"
        " --evaluation {input.evaluation:q}"
        " --recommendations {input.recommendations:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule metrics_table:
    """The same metrics as CSV, one metric a line."""
    input:
        run_metrics=FLOW.receipt("run_metrics"),
    output:
        receipt=FLOW.receipt("metrics_table"),
        latest=report(
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
        " --params {params.step:q} --receipt {output.receipt:q} > {log:q} 2>&1"
        " && python {SCRIPTS:q}/latest.py {output.receipt:q} {output.latest:q} >> {log:q} 2>&1"


rule gate:
    """Registers the models in MLflow and compares them with the present champion."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
        ranking=FLOW.receipt("ranking"),
        served_model=FLOW.receipt("served_model"),
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
        "exec python {SCRIPTS:q}/gate.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --ranking {input.ranking:q}"
        " --served-model {input.served_model:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule report:
    """One HTML file on the run: quality, data, training, evaluation, example users, provenance."""
    input:
        etl_report=FLOW.receipt("etl_report"),
        ratings=FLOW.receipt("ratings"),
        movies=FLOW.receipt("movies"),
        tags=FLOW.receipt("tags"),
        users=FLOW.optional("users"),
        items_table=FLOW.optional("items"),
        interactions=FLOW.receipt("interactions"),
        recommendations=FLOW.receipt("recommendations"),
        run_metrics=FLOW.receipt("run_metrics"),
        gate=FLOW.receipt("gate"),
    output:
        receipt=FLOW.receipt("report"),
        latest=report(
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
        " --users {input.users:q}"
        " --items {input.items_table:q}"
        " --interactions {input.interactions:q}"
        " --recommendations {input.recommendations:q}"
        " --run-metrics {input.run_metrics:q}"
        " --gate {input.gate:q}"
        " --params {params.step:q} --receipt {output.receipt:q} > {log:q} 2>&1"
        " && python {SCRIPTS:q}/latest.py {output.receipt:q} {output.latest:q} >> {log:q} 2>&1"


rule track:
    """Logs the run to MLflow; part of gold unless tracking=false."""
    input:
        interactions=FLOW.receipt("interactions"),
        model=FLOW.receipt("model"),
        ranking=FLOW.receipt("ranking"),
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
        "exec python {SCRIPTS:q}/track.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --model {input.model:q}"
        " --ranking {input.ranking:q}"
        " --recommendations {input.recommendations:q}"
        " --run-metrics {input.run_metrics:q}"
        " --gate {input.gate:q}"
        " --report {input.report:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"
