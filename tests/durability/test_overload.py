"""More than the writer can take: 503 at once and nothing of it stored; what was accepted is kept."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from agentops.core.config.settings import EventSettings
from tests.durability.apps import Plan
from tests.durability.ledger import Ledger, events_of
from tests.durability.processes import server
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.durability.apps import Database
    from tests.durability.wire import Address, Answer

CLIENTS: Final = 24
ARRAY: Final = 10
QUEUE: Final = 100


async def test_what_cannot_wait_is_refused_and_what_waits_is_stored(sqlite: Database) -> None:
    ledger = Ledger("r")
    plan = Plan(sqlite, EventSettings(retention=0, queue_events=QUEUE), errors="error.v1")
    with server(plan) as served:
        await served.up()
        with held_by_another_process(sqlite):
            began = time.monotonic()
            posts = [asyncio.create_task(_post(served.address, ledger, client)) for client in range(CLIENTS)]
            refused = await _first_answers(posts, CLIENTS - QUEUE // ARRAY)
            assert time.monotonic() - began < 2, "refused late"
            assert len(refused) < CLIENTS
            for answer in refused.values():
                assert answer.status == 503
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.json()["schema"] == "error.v1"
                assert answer.json()["code"].lower() == "overloaded"
        answers = await asyncio.gather(*posts)
        assert [answer.status for answer in answers].count(201) == CLIENTS - len(refused)
        assert (await _post(served.address, ledger, CLIENTS)).status == 201
        stored = await events_of(served.address, ledger)
    accepted = {client for client in range(CLIENTS + 1) if client not in refused}
    assert sorted(mark for _, mark in stored) == sorted(mark for client in accepted for mark in _marks(client))


@contextmanager
def held_by_another_process(database: Database) -> Iterator[None]:
    """A second connection with an open transaction is all that another process would be to SQLite."""
    with closing(sqlite3.connect(database.place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def _post(address: Address, ledger: Ledger, client: int) -> Answer:
    async with await Connection.open(address) as connection:
        return await connection.post(
            f"{ledger.path}/events", [{"type": "tick", "payload": mark} for mark in _marks(client)]
        )


def _marks(client: int) -> list[str]:
    return [f"{client}-{number}" for number in range(ARRAY)]


async def _first_answers(posts: list[asyncio.Task[Answer]], count: int) -> dict[int, Answer]:
    """The answers that come while the database is held, by client."""
    for answer in itertools.islice(asyncio.as_completed(posts), count):
        await answer
    return {client: post.result() for client, post in enumerate(posts) if post.done()}
