"""`python -m bench.flood PORT RATE SECONDS`: made-up keys at a steady pace, whether or not they are answered.

A process of its own that yields to every other: those whose answers are timed must not wait for it. At the end it
prints how many were refused.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import sys
import time
from itertools import cycle
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH: Final = "/api/runs/none/stream"
_CONNECTIONS: Final = 64
_KEYS: Final = 10_000
_PATIENCE_SECONDS: Final = 0.001


class Flood:
    """Connections are kept; what is due is sent on one that is free, late if there is none."""

    def __init__(self, port: int, per_second: float) -> None:
        self._per_second = per_second
        self._requests: Iterator[bytes] = cycle([_request() for _ in range(_KEYS)])
        self._selector = selectors.DefaultSelector()
        self._free = [self._connected(port) for _ in range(_CONNECTIONS)]
        self._begun: dict[socket.socket, bytes] = {}
        self.refused = 0
        self.others = 0

    def run(self, seconds: float) -> None:
        began = time.perf_counter()
        asked = 0
        while (now := time.perf_counter() - began) < seconds:
            for _ in range(min(int(now * self._per_second) - asked, len(self._free))):
                self._free.pop().send(next(self._requests))
                asked += 1
            for key, _ in self._selector.select(_PATIENCE_SECONDS):
                self._read(key.fileobj)  # type: ignore[arg-type]

    def _connected(self, port: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ)
        return connection

    def _read(self, connection: socket.socket) -> None:
        piece = connection.recv(4096)
        if not piece:
            raise SystemExit("the server closed a connection")
        answer = self._begun.pop(connection, b"") + piece
        if not answer.endswith(b"}"):
            self._begun[connection] = answer
            return
        if answer[9:12] == b"401":
            self.refused += 1
        else:
            self.others += 1
        self._free.append(connection)


def _request() -> bytes:
    """With a key that nobody has, and whose checksum is right."""
    body = f"ak_{secrets.token_hex(28)}"
    key = f"{body}{crc32(body.encode()):08x}"
    return f"GET {PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


def main() -> None:
    port, per_second, seconds = sys.argv[1:]
    if sys.platform != "win32":
        os.nice(19)
    flood = Flood(int(port), float(per_second))
    print("ready", flush=True)
    flood.run(float(seconds))
    print(flood.refused, flood.others, flush=True)


if __name__ == "__main__":
    main()
