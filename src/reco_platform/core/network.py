"""Check that a TCP port accepts connections, before a client that would retry for minutes uses it."""

from __future__ import annotations

import socket


def connection_error(host: str, port: int, timeout: float) -> str | None:
    """Why a TCP port accepts no connection within `timeout` seconds; None if it accepts one."""
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError as error:
        return str(error.strerror or error)
    return None
