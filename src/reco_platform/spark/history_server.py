"""Spark's history server, which shows the pages of finished Spark jobs."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from reco_platform.core import project
from reco_platform.core.errors import EnvironmentProblemError, TableError
from reco_platform.spark.java import spark_home
from reco_platform.spark.submit import LOG4J_FILE, spark_environment

SERVER_CLASS = "org.apache.spark.deploy.history.HistoryServer"
HOST = "127.0.0.1"


def serve(folder: Path, port: int) -> None:
    """Replaces this process by the history server over a folder of event logs; does not return.

    Raises:
        TableError: there are no event logs.
        EnvironmentProblemError: the port cannot be used, or there is no supported Java.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise TableError(
            f"{folder} contains no event logs of Spark",
            "run steps with Spark and keep their event logs: "
            + project.run_command("gold", "--config etl_engine=spark spark_event_logs=true"),
        )
    check_port(port)
    environment = spark_environment() | {"SPARK_HISTORY_OPTS": server_options(folder, port)}
    print(f"[history] http://{HOST}:{port} shows {folder}; stop it with Ctrl-C", flush=True)
    program = str(spark_home() / "bin" / "spark-class")
    os.execve(program, [program, SERVER_CLASS], environment)  # noqa: S606  # no shell is wanted


def server_options(folder: Path, port: int) -> str:
    """The server's settings as options of its JVM, each in quotes because the folder may contain spaces."""
    settings = {
        "spark.history.fs.logDirectory": f"file://{folder.resolve()}",  # not as_uri(): the server does not decode %20
        "spark.history.ui.port": port,
        "spark.port.maxRetries": 0,  # otherwise it silently takes the next free port
        "log4j.configurationFile": LOG4J_FILE.as_uri(),
    }
    return " ".join(f'"-D{key}={value}"' for key, value in settings.items())


def check_port(port: int) -> None:
    """Raises EnvironmentProblemError where the port is taken or out of range."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise EnvironmentProblemError(
                f"port {port} of {HOST} cannot be used: {getattr(error, 'strerror', None) or error}",
                "choose another: reco history --port 18081",
            ) from error
