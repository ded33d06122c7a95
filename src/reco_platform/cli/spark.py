"""Verbs that start programs of Spark's own."""

from __future__ import annotations

from pathlib import Path

import click

from reco_platform.cli.project_options import Invocation, on_a_project
from reco_platform.cli.verbs import verb


@verb("history", "history", "history --port 18081 --config dataset=ml-25m", "history --config lakehouse=/data/lake")
@on_a_project
@click.option("--port", type=int, default=18080, show_default=True, help="Port on 127.0.0.1.")
def history(invocation: Invocation, port: int) -> None:
    """Spark's history server runs in the foreground over the event logs of a lakehouse; Ctrl-C ends it."""
    from reco_platform.spark import history_server

    history_server.serve(invocation.prepare().lakehouse.spark_events, port)


@verb("cluster", "cluster start", "cluster start --workers 4 --cores 2 --memory 8g", "cluster stop")
@on_a_project
@click.argument("action", type=click.Choice(("start", "stop", "status")))
@click.option("--folder", "place", type=click.Path(), help="Folder of logs, secret and process ids."
              " Default: results/cluster.")  # fmt: skip
@click.option("--workers", type=int, default=2, show_default=True, help="Number of workers.")
@click.option("--cores", type=int, default=1, show_default=True, help="Cores of each worker.")
@click.option("--memory", default="4g", show_default=True, help="Memory that each worker may give to executors.")
@click.option("--port", type=int, default=7077, show_default=True, help="Port of the master; its page has the next but"
              " two.")  # fmt: skip
def cluster(
    invocation: Invocation, action: str, *, place: str | None, workers: int, cores: int, memory: str, port: int
) -> int:
    """A standalone master and workers, from the same pyspark, on the loopback interface alone."""
    from reco_platform.spark import local_cluster
    from reco_platform.spark.cluster import LOCAL_CLUSTER_FOLDER

    folder = Path(invocation.argument(place)) if place else LOCAL_CLUSTER_FOLDER
    invocation.enter()
    match action:
        case "start":
            local_cluster.start(folder, local_cluster.ClusterSize(workers, cores, memory), port)
        case "stop":
            local_cluster.stop(folder)
        case "status":
            return 0 if local_cluster.status(folder) else 1
    return 0
