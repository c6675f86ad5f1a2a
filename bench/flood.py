"""`python -m bench.flood PORT RATE SECONDS`: made-up keys at a steady pace, whether or not they are answered.

A process of its own that yields to every other: those whose answers are timed must not wait for it. Each refusal
closes its connection, so each key needs a new one. At the end it prints how many were refused.
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
_OPEN_MOST: Final = 64
"""Connections at once; what is due beyond them is late, and is sent when one is free."""
_KEYS: Final = 10_000
_PATIENCE_SECONDS: Final = 0.001


class Flood:
    def __init__(self, port: int, per_second: float) -> None:
        self._address = ("127.0.0.1", port)
        self._per_second = per_second
        self._requests: Iterator[bytes] = cycle([_request() for _ in range(_KEYS)])
        self._selector = selectors.DefaultSelector()
        self._open: dict[socket.socket, bytes] = {}
        self._begun = 0
        self.refused = 0
        self.others = 0

    def run(self, seconds: float) -> None:
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            for _ in range(min(int(now * self._per_second) - self._begun, _OPEN_MOST - len(self._open))):
                self._begin()
            for key, events in self._selector.select(_PATIENCE_SECONDS):
                connection: socket.socket = key.fileobj  # type: ignore[assignment]
                if events & selectors.EVENT_WRITE:
                    self._ask(connection)
                else:
                    self._finish(connection)

    def _begin(self) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(self._address)
        self._open[connection] = next(self._requests)
        self._selector.register(connection, selectors.EVENT_WRITE)
        self._begun += 1

    def _ask(self, connection: socket.socket) -> None:
        try:
            connection.send(self._open[connection])
        except OSError:
            self._finish(connection)
        else:
            self._selector.modify(connection, selectors.EVENT_READ)

    def _finish(self, connection: socket.socket) -> None:
        try:
            answer = connection.recv(4096)
        except OSError:
            answer = b""
        if answer[9:12] == b"401":
            self.refused += 1
        else:
            self.others += 1
        self._selector.unregister(connection)
        del self._open[connection]
        connection.close()


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
