"""At which addresses programs accept connections."""

from __future__ import annotations

from contextlib import suppress

import psutil

LOOPBACK = {"127.0.0.1", "::1"}


def sockets(*pids: int) -> set[tuple[str, int]]:
    """Address and port of everything at which these processes, and what they have started, listen."""
    found = set()
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                found |= of_one(process)
    return found


def of_one(process: psutil.Process) -> set[tuple[str, int]]:
    with suppress(psutil.Error):
        every = process.net_connections("tcp")
        return {(one.laddr.ip.removeprefix("::ffff:"), one.laddr.port) for one in every if one.status == "LISTEN"}
    return set()


def heard_only_here(*pids: int) -> bool:
    """Whether they listen at all, and on this machine's own addresses alone."""
    found = {address for address, _ in sockets(*pids)}
    assert found <= LOOPBACK, found
    return bool(found)
