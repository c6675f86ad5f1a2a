"""Hashed keys that come in crowds: rows are read together, and nobody known stands behind strangers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops.accounts.key_text import make_key
from agentops.core.errors import Refusal, Rejected, Unavailable
from agentops.core.records import now_ms
from agentops.core.rungs import Rungs
from agentops.plugins.auth.hashed_keys import authenticator as authenticator_module
from tests.core.parts import until
from tests.security.key_making import PREFIX, CountedSqlite, caller, change_key, lets_in, made, started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from agentops.core.identity import Identity
    from agentops.plugins.auth.hashed_keys import HashedKeys

pytestmark = pytest.mark.usefixtures("cheap_hashes")


class Held(CountedSqlite):
    """Answers about rows when it is let go, or fails to."""

    error: Exception | None = None

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.go = asyncio.Event()
        self.go.set()
        self.answered = 0
        """How many questions the database has answered, whether that was handed on or not."""

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        rows = await super().read_rows(query, *values)
        self.answered += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return rows


@pytest_asyncio.fixture
async def held(tmp_path: Path) -> AsyncIterator[Held]:
    storage = Held(path=str(tmp_path / "agentops.sqlite"))
    async with storage.life(Rungs()):
        yield storage


async def _verdict(authenticator: HashedKeys) -> Identity | Refusal | None:
    try:
        return await authenticator.authenticate(caller(make_key(PREFIX)))
    except Refusal as refusal:
        return refusal


async def strangers(authenticator: HashedKeys, count: int) -> list[asyncio.Task[Identity | Refusal | None]]:
    tasks = [asyncio.create_task(_verdict(authenticator)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_many_made_up_keys_at_once_cost_few_queries_and_hide_no_good_one(held: Held) -> None:
    _, good = await made(held)
    async with asyncio.timeout(10), started(held) as authenticator:
        before = held.asked
        made_up = await strangers(authenticator, 40)
        assert await lets_in(authenticator, good)
        assert [type(answer) for answer in await asyncio.gather(*made_up)] == [Rejected] * 40
        assert held.asked - before == 11, "of four at once"


async def test_known_keys_that_come_at_once_share_a_query(held: Held) -> None:
    keys = [(await made(held))[1] for _ in range(3)]
    async with asyncio.timeout(10), started(held) as authenticator:
        assert all([await lets_in(authenticator, key) for key in keys])
        before = held.asked
        assert all(await asyncio.gather(*(lets_in(authenticator, key) for key in keys * 10)))
        assert held.asked - before == 1


async def test_a_known_key_waits_for_no_stranger(held: Held) -> None:
    _, good = await made(held)
    async with asyncio.timeout(10), started(held) as authenticator:
        assert await lets_in(authenticator, good)
        held.go.clear()
        before = held.asked
        made_up = await strangers(authenticator, 9)
        await until(lambda: held.asked == before + 1)
        asking = asyncio.create_task(lets_in(authenticator, good))
        await until(lambda: held.asked == before + 2)
        made_up[0].cancel()
        held.go.set()
        assert await asking
        assert [type(answer) for answer in await asyncio.gather(*made_up[1:])] == [Rejected] * 8


async def test_who_comes_while_a_row_is_read_gets_a_newer_one(held: Held) -> None:
    key, good = await made(held)
    async with asyncio.timeout(10), started(held) as authenticator:
        assert await lets_in(authenticator, good)
        held.go.clear()
        before = held.answered
        early = asyncio.create_task(lets_in(authenticator, good))
        await until(lambda: held.answered == before + 1)
        await change_key(held, key.id, revoked_at=now_ms())
        late = asyncio.create_task(lets_in(authenticator, good))
        await asyncio.sleep(0)
        held.go.set()
        assert (await early, await late) == (True, False)


async def test_more_strangers_than_can_wait_are_told_so(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator_module, "STRANGERS", authenticator_module.STRANGERS._replace(most=5))
    _, good = await made(held)
    async with asyncio.timeout(10), started(held) as authenticator:
        assert await lets_in(authenticator, good)
        held.go.clear()
        answers = [await task for task in (await strangers(authenticator, 8))[5:]]
        assert [(answer.status, answer.code) for answer in answers if isinstance(answer, Refusal)] == [
            (503, "overloaded")
        ] * 3
        held.go.set()
        assert await lets_in(authenticator, good)


async def test_all_who_wait_are_told_of_a_storage_that_is_away(held: Held) -> None:
    _, good = await made(held)
    async with asyncio.timeout(10), started(held) as authenticator:
        held.error = Unavailable("away")
        assert await asyncio.gather(*await strangers(authenticator, 9)) == [held.error] * 9
        held.error = None
        assert await lets_in(authenticator, good)


async def test_it_stops_while_somebody_waits(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(10):
        async with started(held) as authenticator:
            held.go.clear()
            before = held.asked
            tasks = await strangers(authenticator, 9)
            await until(lambda: held.asked > before)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 9
    assert caplog.records == []
