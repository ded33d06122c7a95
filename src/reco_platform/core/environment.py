"""Environment variables by which the main process of a run configures the scripts of its steps."""

MEMORY = "RECO_MEMORY"
"""Java heap of each Spark driver."""

LOG_LEVEL = "RECO_LOG_LEVEL"
"""Spark's log level."""

ETL_ENGINE = "RECO_ETL_ENGINE"
"""Engine that cleans: auto, native or spark."""

OVERRIDES = "RECO_OVERRIDES"
"""The --config options of the run, for commands in messages."""

TARGET = "RECO_TARGET"
"""The target of the run, for commands in messages."""

FORCE_OVERWRITE = "RECO_FORCE_OVERWRITE"
"""Not empty if the run may replace tables that are not this data set's."""
