"""Run Airflow on this machine: API server with web pages, scheduler and DAG processor, on 127.0.0.1, with SQLite.

`reco airflow serve` runs it. `reco airflow prepare` only creates airflow.cfg, the password and the database, so that
Airflow's own commands work: AIRFLOW_HOME=$PWD/results/airflow .venv-airflow/bin/airflow dags test reco_pipeline
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from reco_platform.core import project
from reco_platform.core.errors import ConfigError, EnvironmentProblemError

AIRFLOW = project.ROOT / ".venv-airflow" / "bin" / "airflow"
HOME = project.ROOT / "results" / "airflow"
HOST, USER = "127.0.0.1", "admin"
PASSWORDS = "passwords.json"
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}
GRACE = 30  # seconds for running tasks to end; their programs take up to ten
START_SECONDS = 180


def settings(home: Path, port: int) -> dict[str, dict[str, str]]:
    """The settings in airflow.cfg; Airflow has defaults for the others."""
    address = f"http://{HOST}:{port}"
    return {
        "core": {
            "dags_folder": str(project.ROOT / "airflow" / "dags"),
            "load_examples": "False",
            "executor": "LocalExecutor",
            "parallelism": "4",
            "hostname_callable": "socket.gethostname",  # the default asks the network's name server
            "execution_api_server_url": f"{address}/execution/",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": str(home / PASSWORDS),
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}"},
        "api": {"host": HOST, "port": str(port), "base_url": address},
    }


def new_secrets() -> dict[str, dict[str, str]]:
    """Keys that the components of one Airflow share; they are generated once."""
    return {
        "core": {"fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()},
        "api": {"secret_key": secrets.token_urlsafe(32)},
        "api_auth": {"jwt_secret": secrets.token_urlsafe(64)},
    }


def configure(home: Path, port: int) -> None:
    """Writes airflow.cfg; other keys in it are kept.

    Raises:
        ConfigError: the address of the database would not end where the folder does, or Airflow would replace a part.
    """
    wrong = next((letter for letter in "?%" if letter in str(home)), None)
    if wrong:
        raise ConfigError(f"Airflow cannot work in {str(home)!r}: its name has {wrong!r}", "rename that folder")
    path = home / "airflow.cfg"
    config = configparser.ConfigParser(interpolation=None)
    config.read_dict(new_secrets())
    config.read(path, encoding="utf-8")
    config.read_dict(settings(home, port))
    with open_private(path) as file:
        config.write(file)


def open_private(path: Path) -> TextIO:
    """Opens a file for writing that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")


def ensure_password(home: Path) -> None:
    """Generates and prints the password, unless there is one already."""
    path = home / PASSWORDS
    if path.is_file():
        print(f"User {USER}; the password was printed at the first start and is in {path}", flush=True)
        return
    password = secrets.token_urlsafe(12)
    with open_private(path) as file:
        json.dump({USER: password}, file)
    print(f"User {USER}, password {password} (not printed again; it is in {path})", flush=True)


def environment(home: Path) -> dict[str, str]:
    """This environment, which may configure the pipeline, with AIRFLOW_HOME."""
    return {**os.environ, "AIRFLOW_HOME": str(home)}


def prepare(home: Path, port: int) -> None:
    """Creates AIRFLOW_HOME.

    Raises:
        EnvironmentProblemError: if Airflow is not installed, or its database cannot be created.
    """
    if not project.IS_CHECKOUT:
        message = "Airflow runs from a source checkout, and reco_platform is installed without one"
        raise EnvironmentProblemError(message, "make airflow, in a checkout")
    if not AIRFLOW.is_file():
        raise EnvironmentProblemError(f"Airflow is not installed in {AIRFLOW.parents[1]}", "make airflow")
    home.mkdir(parents=True, exist_ok=True)
    configure(home, port)
    ensure_password(home)
    migrated = subprocess.run(
        [AIRFLOW, "db", "migrate"], env=environment(home), capture_output=True, text=True, check=False
    )
    if migrated.returncode:
        raise EnvironmentProblemError(
            f"Airflow's database in {home} cannot be created:\n{(migrated.stdout + migrated.stderr)[-2000:]}",
            f"move {home} away, then make airflow",
        )


def serve(home: Path, port: int) -> None:
    """Runs Airflow until Ctrl-C or SIGTERM.

    Raises:
        EnvironmentProblemError: if the port is in use, or a component of Airflow exits.
    """
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise EnvironmentProblemError(
                f"{HOST}:{port} is already in use", "stop it, or: reco airflow serve --port 8083"
            )
    prepare(home, port)
    for number in (signal.SIGINT, signal.SIGTERM):  # a background job of a shell ignores SIGINT by default
        signal.signal(number, signal.default_int_handler)
    try:
        with running(home) as components:
            wait_until_healthy(components, home, port)
            print(f"Airflow is at http://{HOST}:{port}; Ctrl-C stops it. Logs: {home}/logs", flush=True)
            while True:
                check_running(components, home)
                time.sleep(1)
    except KeyboardInterrupt:
        print("stopped", flush=True)


@contextmanager
def running(home: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Runs the components of Airflow, each under a supervisor; stops them one by one, the API server last."""
    (home / "logs").mkdir(exist_ok=True)
    components: dict[str, subprocess.Popen[bytes]] = {}
    supervisor = [sys.executable, str(project.ROOT / "tools" / "supervisor.py"), "--grace", str(GRACE)]
    try:
        for name, words in COMPONENTS.items():
            with (home / "logs" / f"{name}.log").open("ab") as log:
                components[name] = subprocess.Popen(
                    [*supervisor, str(AIRFLOW), *words], cwd=project.ROOT, env=environment(home),
                    start_new_session=True,
                    stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip
        yield components
    finally:
        print("stopping Airflow and its running tasks", flush=True)
        for component in reversed(components.values()):
            component.communicate()  # closes the supervisor's input, and waits


def check_running(components: dict[str, subprocess.Popen[bytes]], home: Path) -> None:
    """Raises EnvironmentProblemError if a component has exited."""
    for name, component in components.items():
        if component.poll() is not None:
            raise EnvironmentProblemError(
                f"Airflow's {name} exited with code {component.returncode}", f"see {home}/logs/{name}.log"
            )


def wait_until_healthy(components: dict[str, subprocess.Popen[bytes]], home: Path, port: int) -> None:
    """Waits until every component reports that it is healthy."""
    last = time.monotonic() + START_SECONDS
    while not healthy(port):
        check_running(components, home)
        if time.monotonic() > last:
            raise EnvironmentProblemError(f"Airflow did not start in {START_SECONDS} s", f"see {home}/logs")
        time.sleep(0.5)


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/api/v2/monitor/health", timeout=10) as answer:
            health = json.load(answer)
    except OSError:
        return False
    return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))
