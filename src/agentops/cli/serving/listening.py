"""Takes the address before anything is started, so that a port in use is found out first."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from agentops.cli.reaching import url_at
from agentops.core.errors import StartError

BACKLOG: Final = 2048
"""Connections that may wait to be accepted: a crowd that reconnects at once must not be turned away."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket at this address that does not listen yet."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"cannot listen on {host!r}: it is no address of this machine ({error.strerror})") from error
    family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    taken = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        taken.close()
        raise StartError(_why_not(error, host, port)) from error
    return taken


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return url_at(host, port)


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host or 'every address'} is taken: stop what listens there, or choose another with --port"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"this user may not listen on port {port}: choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {host!r}: it is no address of this machine"
    return f"cannot listen on {host}:{port}: {error.strerror}"
