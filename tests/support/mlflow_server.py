"""A real MLflow server on a free port of this machine, and servers that misbehave."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from support.listening import heard_only_here
from support.project import kill_group, wait_for


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def real(folder: Path) -> Iterator[str]:
    """The address of `mlflow server` with SQLite behind it."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )  # a group of its own: it starts workers
    try:
        wait_for(lambda: healthy(address))
        assert heard_only_here(server.pid)
        yield address
    finally:
        kill_group(server)


def healthy(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2) as answer:  # noqa: S310  # our own server
        return bool(answer.status == 200)
    return False


@contextmanager
def listener(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that does this with each connection."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=guarded, args=(handle, connection), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def guarded(handle: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with suppress(OSError), closing(connection):
        handle(connection)


def silent(connection: socket.socket) -> None:
    """Reads, and never answers."""
    while connection.recv(4096):
        pass


def dripping(connection: socket.socket) -> None:
    """Answers a byte at a time, for ever."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.5)


def answering(status: str) -> Callable[[socket.socket], None]:
    """Answers every request with this status."""

    def handle(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno".encode())

    return handle


def dying(address: str, requests: int) -> Callable[[socket.socket], None]:
    """Passes so many requests on to a real server, then breaks every connection."""
    left, lock = [requests], threading.Lock()
    port = int(address.rsplit(":", 1)[1])

    def handle(connection: socket.socket) -> None:
        with closing(socket.create_connection(("127.0.0.1", port))) as behind:
            threading.Thread(target=pump, args=(behind, connection), daemon=True).start()
            while data := connection.recv(1 << 16):
                if data.split(b" ", 1)[0] in {b"GET", b"POST", b"PUT", b"PATCH", b"DELETE"}:
                    with lock:
                        left[0] -= 1
                if left[0] < 0:
                    return
                behind.sendall(data)

    return handle


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
