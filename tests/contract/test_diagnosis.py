"""What storages say of themselves, question by question: where it would take long to break a whole deployment."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from agentops.core.errors import Unavailable
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.postgres import _diagnosis as of_postgres
from agentops.plugins.storage.sqlite import Sqlite
from agentops.plugins.storage.sqlite import _diagnosis as of_sqlite

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from agentops.core.ports.diagnosis import Finding

MB = 1024 * 1024


def weights(findings: Iterable[Finding]) -> list[str]:
    return [finding.weight for finding in findings]


@pytest.mark.parametrize(("free", "said"), [(2048, []), (500, ["risk"]), (10, ["failing"])])
def test_little_room_on_the_disk(free: int, said: list[str]) -> None:
    assert weights(of_sqlite.too_little_room(free * MB)) == said


@pytest.mark.parametrize(("mode", "said"), [(0o600, []), (0o640, []), (0o644, ["advice"]), (0o646, ["risk"])])
def test_who_may_read_the_file(server_folder: Path, mode: int, said: list[str]) -> None:
    """In a folder that everybody may enter, unlike those that pytest makes."""
    path = server_folder / "readable.sqlite"
    path.touch()
    path.chmod(mode)
    assert weights(of_sqlite.readers(path)) == said


def test_who_may_not_enter_the_folder_reads_no_file(tmp_path: Path) -> None:
    path = tmp_path / "readable.sqlite"
    path.touch(0o666)
    tmp_path.chmod(0o700)
    assert of_sqlite.readers(path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_log_of_another_user(tmp_path: Path) -> None:
    path = tmp_path / "owned.sqlite"
    path.touch()
    log = of_sqlite.log_of(path)
    log.touch()
    assert of_sqlite.owners(path) == []
    os.chown(log, 65534, 65534)
    (finding,) = of_sqlite.owners(path)
    assert str(log) in finding.problem.what
    assert f"chown --reference={path}" in finding.problem.remedy


async def test_a_long_read_of_sqlite_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_sqlite, "WAIT_SECONDS", 0.05)
    storage = Sqlite(path=str(tmp_path / "agentops.sqlite"))
    await storage.migrate()
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    async with storage.peek() as peek:
        with pytest.raises(Unavailable, match="interrupted"):
            await peek.read_rows(endless)
        with pytest.raises(Unavailable, match="read-only"):
            await peek.read_rows("DELETE FROM runs")


@asynccontextmanager
async def another(url: str) -> AsyncGenerator[Any]:
    connection: Any = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def postgres(postgres_url: str) -> Postgres:
    return Postgres(url=Secret(postgres_url))


async def test_a_look_at_postgres_changes_nothing(postgres: Postgres) -> None:
    async with postgres.peek() as peek:
        for statement in ("DELETE FROM runs", "CREATE TABLE x (y int)", "SELECT nextval('events_id')"):
            with pytest.raises(Unavailable):
                await peek.read_rows(statement)


async def test_transactions_that_do_not_end(postgres: Postgres, postgres_url: str) -> None:
    async with postgres.peek() as peek, another(postgres_url) as connection:
        assert await of_postgres.long_transactions(peek) == []
        await connection.execute("SET application_name = 'report'; BEGIN; SELECT 1")
        (reading,) = await of_postgres.long_transactions(peek, 0)
        assert reading.weight == "risk"
        assert "'report'" in reading.problem.what
        await connection.execute("INSERT INTO projects (name) VALUES ('p')")
        (writing,) = await of_postgres.long_transactions(peek, 0)
        assert writing.weight == "failing"
        assert f"pg_terminate_backend({connection.get_server_pid()})" in writing.problem.remedy


async def test_few_connections_left(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    async with postgres.peek() as peek:
        (finding,) = await of_postgres.connections(peek, wanted=100_000)
        assert "a process of the server may open 100000 connections" in finding.problem.what
        assert weights(await of_postgres.connections(peek, wanted=11)) == ["fine"]
        monkeypatch.setattr(of_postgres, "CROWDED", 0.0)
        (finding,) = await of_postgres.connections(peek, wanted=11)
        assert "connections of this Postgres are taken" in finding.problem.what


async def test_a_pooler_that_loses_what_a_connection_asked_for(postgres: Postgres, postgres_url: str) -> None:
    async with postgres.peek() as peek, another(postgres_url) as connection:
        assert await of_postgres.durability(peek) == []
        await connection.execute("SET synchronous_commit = off")
        (finding,) = await of_postgres.durability(of_postgres.Peek(connection))
    assert finding.weight == "risk"
    assert "synchronous_commit is 'off'" in finding.problem.what


class Ahead:
    """A database whose clock nobody has set."""

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        return [(time.time() + 3600,)]


async def test_clocks_that_are_apart(postgres: Postgres) -> None:
    async with postgres.peek() as peek:
        assert await of_postgres.clock(peek) == []
    (finding,) = await of_postgres.clock(Ahead())
    assert "3,600 s ahead of this machine's" in finding.problem.what
