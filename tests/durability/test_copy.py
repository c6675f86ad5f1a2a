"""`agentops copy` killed again and again while its source takes posts: all of it arrives, once, and clients go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from agentops.core.ports.storage import Append
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.sql.migrations import COPYING, STORED_REVISION
from tests.cli.running import Folder
from tests.durability.apps import Database, Plan
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by
from tests.durability.processes import server

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

ALREADY: Final = 60_000
"""Events that are there before: for a dozen transactions, between which the command can be killed."""
KILLS: Final = 4
KILLS_AT_THE_END: Final = 3


async def test_killed_copies_lose_and_double_nothing(
    sqlite: Database, postgres: Database, tmp_path: Path, chance: Random
) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "agentops.toml").write_text(
        f'[storage]\nuse = "sqlite"\npath = "{sqlite.place}"\n[lanes.api]\npath = "/api"\nserve = ["runs"]\n'
    )
    await _fill(sqlite)
    ledger = Ledger("moved")
    with server(Plan(sqlite)) as old:
        await old.up()
        before = Follower(old.address, f"{ledger.path}/stream", "0")
        feed = Follower(old.address, "/api/stream", "0")
        async with at_work(before, feed):
            async with at_work(*(Producer(f"old-{number}", old.address, ledger, chance) for number in range(2))):
                for _ in range(KILLS):
                    await ledger.grows()
                    await _killed_midway(folder, postgres, chance)
                level = await folder.agentops(*_COPY, DATABASE_URL=postgres.place)
                assert level.code == 3, level
            await before.has(ledger.newest)
            await feed.until(lambda it: len(it.frames) == ALREADY + len(ledger.stored | ledger.doubtful))
        old.terminate()
        assert await old.ended(10) == 0
    for _ in range(KILLS_AT_THE_END):
        async with folder.running(*_COPY, DATABASE_URL=postgres.place):
            await asyncio.sleep(chance.random())
    if await _value(postgres, STORED_REVISION) == COPYING:
        done = await folder.agentops(*_COPY, DATABASE_URL=postgres.place)
        assert done.code == 0, done
    verified = await folder.agentops(*_COPY, "--verify-only", DATABASE_URL=postgres.place)
    assert verified.code == 0, verified
    with server(Plan(postgres)) as new:
        await new.up()
        after = Follower(new.address, f"{ledger.path}/stream", before.last)
        async with at_work(after):
            async with at_work(Producer("new", new.address, ledger, chance)):
                await ledger.grows(by=50)
            await after.has(ledger.newest)
        whole = Follower(new.address, "/api/stream", "0")
        async with at_work(whole):
            await whole.until(lambda it: len(it.frames) >= len(feed.frames) + len(after.frames))
        events = await events_of(new.address, ledger)
    ledger.verify(events)
    assert seen_by(before) + seen_by(after) == events
    assert seen_by(whole) == seen_by(feed) + seen_by(after), "the feed has another order"


_COPY: Final = ("copy", "--from", "sqlite", "--to", "postgres")


async def _fill(database: Database) -> None:
    body = '{{"ts":1,"type":"n","level":"info","agentId":null,"taskId":null,"payload":{}}}'
    storage = database.opened()
    async with storage.life(Rungs()):
        for first in range(0, ALREADY, 1000):
            events = [NewEvent(body.format(number)) for number in range(first, first + 500)]
            await storage.append([Append("default", run, events) for run in (f"run-{first}", "long")])


async def _killed_midway(folder: Folder, target: Database, chance: Random) -> None:
    """Once it has stored more than was there, or a little later."""
    place = "SELECT events FROM agentops_copy"
    before = await _value(target, place)
    async with folder.running(*_COPY, DATABASE_URL=target.place):
        async with asyncio.timeout(30):
            while await _value(target, place) == before:  # noqa: ASYNC110 - it is another process that commits it
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1 * chance.random())


async def _value(target: Database, query: str) -> Any:
    connection: Any = await asyncpg.connect(target.place)
    try:
        return await connection.fetchval(query)
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
