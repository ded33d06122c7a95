# Sweeps: one fit per job on the train fold, scored on the validation fold, and a leaderboard. Only for target `sweep`.

SWEEP = FLOW.sweep_workflow


rule sweep_data:
    """The train and validation folds as arrays: all that trials read."""
    input:
        interactions=FLOW.receipt("interactions"),
        movies=FLOW.receipt("movies"),
    output:
        FLOW.receipt("sweep_data"),
    log:
        f"{LOGS}/sweep_data.log",
    benchmark:
        f"{LOGS}/sweep_data.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("sweep_data"),
    shell:
        "exec python {SCRIPTS:q}/sweep_data.py --threads {threads}"
        " --interactions {input.interactions:q}"
        " --movies {input.movies:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule trial:
    """One fit; if it fails, its result says so and the other trials continue."""
    input:
        sweep_data=FLOW.receipt("sweep_data"),
    output:
        SWEEP.trial("{trial}"),
    log:
        f"{LOGS}/trial_{{trial}}.log",
    benchmark:
        f"{LOGS}/trial_{{trial}}.benchmark.tsv"
    threads: SWEEP.threads(workflow.cores)
    resources:
        mem_mb=SWEEP.memory_mb,
    params:
        step=lambda wildcards: SWEEP.trial_params(wildcards.trial),
    shell:
        "exec python {SCRIPTS:q}/trial.py --threads {threads}"
        " --sweep-data {input.sweep_data:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule leaderboard:
    """The trials from best to worst, and a config file with the best."""
    input:
        trials=SWEEP.trials,
    output:
        receipt=SWEEP.leaderboard,
        page=report(
            FLOW.latest(f"sweep_{SWEEP.sweep.name}.html"),
            caption="captions/sweep.rst",
            category="Sweeps",
            labels={"what": f"sweep {SWEEP.sweep.name}"},
        ),
    log:
        f"{LOGS}/leaderboard.log",
    benchmark:
        f"{LOGS}/leaderboard.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=500,
    params:
        step=SWEEP.leaderboard_params,
    shell:
        "python {SCRIPTS:q}/leaderboard.py"
        " --params {params.step:q} --receipt {output.receipt:q} > {log:q} 2>&1"
        " && python {SCRIPTS:q}/latest.py {output.receipt:q} {output.page:q} --file report.html >> {log:q} 2>&1"


rule track_sweep:
    """Logs the sweep to MLflow; part of `sweep` unless tracking=false."""
    input:
        leaderboard=SWEEP.leaderboard,
    output:
        SWEEP.tracking,
    log:
        f"{LOGS}/track_sweep.log",
    benchmark:
        f"{LOGS}/track_sweep.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=500,
    params:
        step=FLOW.params("track_sweep"),
    shell:
        "exec python {SCRIPTS:q}/track_sweep.py"
        " --leaderboard {input.leaderboard:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


localrules:
    sweep,


rule sweep:
    """A leaderboard of every combination of the hyperparameters that are lists."""
    input:
        FLOW.sweep_receipts,
