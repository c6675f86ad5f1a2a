"""Reads that are made all the time go through an index, also on a table that was not analysed since it grew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.ports.storage import Append, Appended
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres, PostgresSettings
from agentops.plugins.storage.postgres import _append as postgres_append
from agentops.plugins.storage.postgres import _reads as postgres_reads
from agentops.plugins.storage.sqlite import Sqlite, SqliteSettings
from agentops.plugins.storage.sqlite import _append as sqlite_append
from agentops.plugins.storage.sqlite import _reads as sqlite_reads

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

SQLITE_QUERIES = {
    "run": sqlite_reads._RUN,
    "page": sqlite_reads._EVENTS,
    "newest-hidden": sqlite_reads._NEWEST_HIDDEN,
    "feed": sqlite_reads._FEED,
    "run-to-append-to": sqlite_append._FIND_RUN,
    "keys": sqlite_append._FIND_KEYS,
}

POSTGRES_QUERIES = {
    "page": (postgres_reads._PAGE, ("p", "run-7", 500, 20, 10**6, 0), "(run = run.pk) AND (id > "),
    "newest-hidden": (postgres_reads._PAGE, ("p", "run-7", 500, 20, 10**6, 10), "(run = runs.pk)"),
    "feed": (postgres_reads._FEED, ("p", "3", 1, 20, 10**6), "ROW(xid, id) > ROW("),
    "cursor": (postgres_reads._POSITION, ("p", 500), "id >= '500'"),
}


@pytest.mark.parametrize("query", SQLITE_QUERIES.values(), ids=SQLITE_QUERIES)
async def test_sqlite_searches_and_never_scans_or_sorts(tmp_path: Path, query: str) -> None:
    storage = Sqlite(SqliteSettings(path=str(tmp_path / "agentops.sqlite")))

    def plan(connection: sqlite3.Connection) -> list[str]:
        values = ["[]"] * query.count("?")
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]

    async with storage.life(Rungs()):
        steps = await storage._readers.run(plan)
    assert any(step.startswith("SEARCH") for step in steps)
    assert [step for step in steps if "SCAN" in step and "wanted" not in step] == []
    assert [step for step in steps if "TEMP B-TREE" in step] == []
    assert "wanted" not in " ".join(steps) or steps[0].startswith("SCAN wanted")


@pytest.mark.parametrize(("query", "values", "condition"), POSTGRES_QUERIES.values(), ids=POSTGRES_QUERIES)
async def test_postgres_reads_events_in_the_order_of_an_index(
    postgres_url: str, query: str, values: tuple[object, ...], condition: str
) -> None:
    storage = Postgres(PostgresSettings(url=Secret(postgres_url)))
    async with storage.life(Rungs()):
        for _ in range(5):
            await storage.append([Append("p", f"run-{run}", [NewEvent('{"ts":1}')] * 40) for run in range(50)])
        async with storage._pool.driver() as connection:
            for position, value in enumerate(values, 1):
                query = query.replace(f"${position}", f"'{value}'")
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}"))
    assert "Seq Scan on events" not in plan
    assert "Bitmap" not in plan
    assert condition in plan
    assert sorts_of_events(plan) == []


async def test_an_append_to_postgres_finds_each_run_and_each_key_by_an_index(postgres_url: str) -> None:
    """Also when Postgres has made one plan for all values, on tables that were never analysed."""
    storage = Postgres(PostgresSettings(url=Secret(postgres_url)))
    looked_at = """
        SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int FROM pg_stat_xact_user_tables
        WHERE relname = 'runs' OR relname LIKE 'events%'
    """
    async with storage.life(Rungs()):
        for part in range(10):
            events = [NewEvent("{}", f"key-{key}") for key in range(20)]
            await storage.append([Append("p", f"run-{part}-{run}", events) for run in range(100)])
        async with storage._pool.driver() as connection:
            for _ in range(10):
                await connection.execute("BEGIN")
                before = await connection.fetchval(looked_at)
                keyed = [NewEvent("{}", "key-3"), NewEvent("{}", "new")]
                (appended,) = await postgres_append.store(connection, [Append("p", "run-7-7", keyed)])
                assert isinstance(appended, Appended)
                assert list(appended.repeats) == [0]
                assert await connection.fetchval(looked_at) - before < 10
                await connection.execute("ROLLBACK")


def sorts_of_events(plan: str) -> list[str]:
    """Sorts right above a scan of the events; what is left of a page may be sorted."""
    lines: list[Any] = [line.strip() for line in plan.splitlines() if "->" in line or "Sort Key" in line]
    return [lines[n] for n in range(len(lines) - 1) if "Sort Key" in lines[n] and "on events" in lines[n + 1]]
