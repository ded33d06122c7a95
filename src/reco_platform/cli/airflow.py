"""The verb that runs Airflow."""

from __future__ import annotations

from pathlib import Path

import click

from reco_platform.cli.verbs import verb


@verb("airflow", "airflow serve", "airflow serve --port 8083", "airflow prepare")
@click.argument("action", type=click.Choice(("serve", "prepare")))
@click.option("--home", type=click.Path(path_type=Path), help="AIRFLOW_HOME. Default: results/airflow of the checkout.")
@click.option("--port", type=int, default=8082, show_default=True, help="Port of the pages and the API on 127.0.0.1.")
def airflow(action: str, home: Path | None, port: int) -> None:
    """Airflow's API server, scheduler and DAG processor run on 127.0.0.1, over SQLite. `prepare` only writes
    airflow.cfg, the password and the database, so that Airflow's own commands work. It needs a checkout, and its
    environment .venv-airflow, which `make airflow` sets up."""
    from reco_platform.maintenance import airflow_server

    folder = (home or airflow_server.HOME).resolve()
    if action == "serve":
        airflow_server.serve(folder, port)
    else:
        airflow_server.prepare(folder, port)
