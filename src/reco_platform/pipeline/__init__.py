"""The steps of this pipeline, what is stale, and one invocation of Snakemake."""
