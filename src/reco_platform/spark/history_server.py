"""Spark's history server: what Spark's own pages showed of jobs that are over."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from reco_platform.core.errors import EnvironmentProblemError, TableError
from reco_platform.spark import session

SERVER = "org.apache.spark.deploy.history.HistoryServer"
HOST = "127.0.0.1"


def serve(folder: Path, port: int) -> None:
    """Goes on as the history server over a folder of event logs; does not return.

    Raises:
        TableError: if there are no event logs.
        EnvironmentProblemError: if the port is taken, or there is no suitable Java.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise TableError(
            f"{folder} holds no event logs of Spark",
            "steps that run with Spark leave them where asked to, such as: "
            "snakemake --cores 2 gold --config etl_engine=spark spark_event_logs=true",
        )
    refuse_taken(port)
    environment = session.spark_environment() | {"SPARK_HISTORY_OPTS": options(folder, port)}
    print(f"[history] http://{HOST}:{port} shows {folder}; Ctrl-C ends it", flush=True)
    program = str(session.spark_home() / "bin" / "spark-class")
    os.execve(program, [program, SERVER], environment)  # noqa: S606  # no shell is wanted


def options(folder: Path, port: int) -> str:
    """The server's settings as options of its Java, each in quotes for a folder with spaces."""
    settings = {
        "spark.history.fs.logDirectory": f"file://{folder.resolve()}",  # taken as it is: no %20
        "spark.history.ui.port": port,
        "spark.port.maxRetries": 0,  # or it would take the next port and not say so
        "log4j.configurationFile": session.LOGGING.as_uri(),
    }
    return " ".join(f'"-D{key}={value}"' for key, value in settings.items())


def refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise EnvironmentProblemError(
                f"port {port} of {HOST} cannot be had: {getattr(error, 'strerror', None) or error}",
                'name another: make history ARGS="--port 18081"',
            ) from error
