"""When a key was last used is written, and costs no request anything."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.errors import Unavailable
from agentops.core.signals import Signals
from agentops.plugins.auth.hashed_keys import _uses
from tests.core.parts import until
from tests.security.key_making import last_used, lets_in, made, started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.core.ports.storage import Storage
    from agentops.plugins.auth.hashed_keys import HashedKeys
    from tests.core.parts import Kept

pytestmark = pytest.mark.usefixtures("cheap_hashes")


NOW = 1_800_000_000_000


class Clock:
    """What `now_ms` is told, where it says when a key was used."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_uses, "now_ms", clock)
    return clock


async def test_the_last_use_is_written_at_most_once_a_minute(storage: Storage[Any], clock: Clock) -> None:
    key, good = await made(storage)
    written: list[int | None] = []
    for later in (0, 1, 59_999, 60_000, 60_001, 200_000):
        clock.now = NOW + later
        async with started(storage) as authenticator:
            for _ in range(20):
                assert await lets_in(authenticator, good)
        written.append(await last_used(storage, key.id))
    assert written == [NOW, NOW, NOW, NOW + 60_000, NOW + 60_000, NOW + 200_000]


async def test_two_instances_write_it_once(storage: Storage[Any], clock: Clock) -> None:
    """Both read the row before the other wrote."""
    key, _ = await made(storage)
    first, second = (_uses.Uses(storage, Signals()) for _ in range(2))
    async with second.life():
        async with first.life():
            first.note(key.id, None)
        clock.now += 59_999
        second.note(key.id, None)
    assert await last_used(storage, key.id) == NOW


async def test_it_is_written_while_the_server_runs(authenticator: HashedKeys, storage: Storage[Any]) -> None:
    key, good = await made(storage)
    assert await lets_in(authenticator, good)
    async with asyncio.timeout(10):
        while await last_used(storage, key.id) is None:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.002)


class Held:
    """A storage of which every write waits, or fails, until it is let go."""

    def __init__(self, storage: Storage[Any], error: Exception | None = None) -> None:
        self._storage = storage
        self._error = error
        self.go = asyncio.Event()
        self.begun = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        self.begun += 1
        if self._error is not None and not self.go.is_set():
            raise self._error
        await self.go.wait()
        async with self._storage.write() as connection:
            yield connection


async def test_no_request_waits_for_it(storage: Storage[Any]) -> None:
    (key, good), (other_key, other) = await made(storage), await made(storage)
    held: Any = Held(storage)
    async with started(held) as authenticator:
        async with asyncio.timeout(10):
            assert await lets_in(authenticator, good)
            await until(lambda: held.begun)
            for each in (good, other) * 20:
                assert await lets_in(authenticator, each)
        assert held.begun == 1
        held.go.set()
    assert None not in [await last_used(storage, each.id) for each in (key, other_key)]


async def test_a_key_in_use_costs_one_write(storage: Storage[Any]) -> None:
    """However often it is used: before that write, while it is under way, and after it."""
    _, good = await made(storage)
    held: Any = Held(storage)
    async with started(held) as authenticator:
        assert all(await asyncio.gather(*(lets_in(authenticator, good) for _ in range(20))))
        await until(lambda: held.begun)
        assert all(await asyncio.gather(*(lets_in(authenticator, good) for _ in range(20))))
        held.go.set()
        await until(lambda: authenticator._uses._writing == {})
        assert all(await asyncio.gather(*(lets_in(authenticator, good) for _ in range(20))))
    assert held.begun == 1


async def test_what_could_not_be_written_is_written_later(
    storage: Storage[Any], told: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentops.core.forever.PAUSE_SECONDS", 0.01)
    key, good = await made(storage)
    held: Any = Held(storage, Unavailable("the disk is full"))
    async with started(held, told) as authenticator:
        assert await lets_in(authenticator, good)
        await until(lambda: told.named("keys.used.postponed"))
        held.go.set()
        await until(lambda: authenticator._uses._unwritten == authenticator._uses._writing == {})
        assert await last_used(storage, key.id) is not None


async def test_a_write_that_hangs_does_not_keep_the_server_from_stopping(
    storage: Storage[Any], told: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_uses, "STOP_SECONDS", 0.05)
    _, good = await made(storage)
    async with asyncio.timeout(5), started(Held(storage), told) as authenticator:  # type: ignore[arg-type]
        assert await lets_in(authenticator, good)
    assert [fields["reason"] for fields in told.named("keys.used.lost")] == ["TimeoutError"]
