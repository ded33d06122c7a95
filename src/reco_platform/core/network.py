"""Whether anybody listens at an address: asked before a client that would try for minutes."""

from __future__ import annotations

import socket


def silence(host: str, port: int, seconds: float) -> str | None:
    """Why nothing accepts a connection; None if something does.

    Args:
        host: name or address.
        port: of TCP.
        seconds: to wait at most.
    """
    try:
        socket.create_connection((host, port), seconds).close()
    except OSError as error:
        return str(error.strerror or error)
    return None
