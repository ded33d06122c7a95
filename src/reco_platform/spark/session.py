"""The Spark session of a step."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reco_platform.core.errors import EnvironmentProblemError
from reco_platform.spark import cluster

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def spark_session(name: str, settings: Mapping[str, str], log_level: str = "warn") -> SparkSession:
    """A session with given settings; executors on a cluster get this package's code.

    Args:
        name: shown on Spark's pages.
        settings: those that results depend on. Callers pass them, so that they are part of the digest of their code.
        log_level: of Spark's log.

    Raises:
        EnvironmentProblemError: a cluster rejects the application.
    """
    from pyspark.sql import SparkSession  # noqa: PLC0415

    builder = SparkSession.builder.appName(name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # py4j raises several kinds
        raise session_error(error) from error
    session.sparkContext.setLogLevel(log_level.upper())
    if not cluster.runs_in_driver(session.sparkContext.master):
        session.sparkContext.addPyFile(str(cluster.package_archive()))
        atexit.register(session.stop)  # otherwise the master reports the executors as lost
    return session


def session_error(error: Exception) -> Exception:
    """The error to raise where no session could be created: the user's to correct where a cluster is involved."""
    master = cluster.master_of(os.environ)
    if master == "local":
        return error
    lines = [line.strip(": ") for line in str(error).splitlines() if line.strip() and "An error occurred" not in line]
    return EnvironmentProblemError(
        f"the Spark master at {master} rejected this application: {lines[0] if lines else type(error).__name__}",
        "read the log lines above, and check that spark.authenticate.secret in spark_conf is the cluster's secret",
    )
