# Silver: one table a rule, checked against its contract; rejected rows are kept with their reasons.
# Generated from src/reco_platform/pipeline/steps_table.py by `make docs`; do not edit.


rule silver_ratings:
    """Ratings: typed, checked, deduplicated, partitioned by year and month."""
    input:
        bronze=FLOW.bronze("ratings"),
    output:
        FLOW.receipt("ratings"),
    log:
        f"{LOGS}/silver_ratings.log",
    benchmark:
        f"{LOGS}/silver_ratings.benchmark.tsv"
    threads: workflow.cores
    resources:
        mem_mb=3000,
    params:
        step=FLOW.params("silver_ratings"),
    shell:
        "exec python {SCRIPTS:q}/silver_ratings.py --threads {threads}"
        " --bronze {input.bronze:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule silver_movies:
    """Movies: typed and checked, genres split, release year parsed from the title."""
    input:
        bronze=FLOW.bronze("movies"),
    output:
        FLOW.receipt("movies"),
    log:
        f"{LOGS}/silver_movies.log",
    benchmark:
        f"{LOGS}/silver_movies.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        step=FLOW.params("silver_movies"),
    shell:
        "exec python {SCRIPTS:q}/silver_movies.py --threads {threads}"
        " --bronze {input.bronze:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule silver_tags:
    """Tags: typed and checked, partitioned by year and month; nothing if the data set has none."""
    input:
        bronze=FLOW.bronze("tags"),
    output:
        FLOW.receipt("tags"),
    log:
        f"{LOGS}/silver_tags.log",
    benchmark:
        f"{LOGS}/silver_tags.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=3000,
    params:
        step=FLOW.params("silver_tags"),
    shell:
        "exec python {SCRIPTS:q}/silver_tags.py --threads {threads}"
        " --bronze {input.bronze:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule silver_users:
    """The source id of each user; only where ids are texts (id_type=text)."""
    input:
        bronze=FLOW.bronze("users"),
    output:
        FLOW.receipt("users"),
    log:
        f"{LOGS}/silver_users.log",
    benchmark:
        f"{LOGS}/silver_users.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        step=FLOW.params("silver_users"),
    shell:
        "exec python {SCRIPTS:q}/silver_users.py --threads {threads}"
        " --bronze {input.bronze:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule silver_items:
    """The source id of each movie; only where ids are texts (id_type=text)."""
    input:
        bronze=FLOW.bronze("items"),
    output:
        FLOW.receipt("items"),
    log:
        f"{LOGS}/silver_items.log",
    benchmark:
        f"{LOGS}/silver_items.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        step=FLOW.params("silver_items"),
    shell:
        "exec python {SCRIPTS:q}/silver_items.py --threads {threads}"
        " --bronze {input.bronze:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"


rule etl_report:
    """Counts of the rows that went into and came out of every silver table."""
    input:
        ratings=FLOW.receipt("ratings"),
        movies=FLOW.receipt("movies"),
        tags=FLOW.receipt("tags"),
    output:
        FLOW.receipt("etl_report"),
    log:
        f"{LOGS}/etl_report.log",
    benchmark:
        f"{LOGS}/etl_report.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        step=FLOW.params("etl_report"),
    shell:
        "exec python {SCRIPTS:q}/etl_report.py --threads {threads}"
        " --ratings {input.ratings:q}"
        " --movies {input.movies:q}"
        " --tags {input.tags:q}"
        " --params {params.step:q} --receipt {output:q} > {log:q} 2>&1"
