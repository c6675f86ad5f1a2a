"""What is taken away on one instance holds on every other: for the next request, and for streams that are open."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest
import pytest_asyncio

from agentops import EventSettings, Kit, Lane, Secret
from agentops.accounts.keys import Keys
from agentops.accounts.users import NewUser, Users
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.bus.redis import Redis
from agentops.plugins.features import keys as keys_feature
from agentops.plugins.features.runs import Runs
from agentops.testing.server import following, serving
from tests.accounts.parts import cheap_hashes
from tests.core.parts import until
from tests.security.key_making import ANYTHING, ORIGIN, PREFIX, change_key, made, storages
from tests.wire.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Any

    import httpx

    from agentops.core.ports.bus import Bus
    from agentops.core.ports.storage import Storage
    from agentops.testing.server import Frames

__all__ = ["cheap_hashes"]

pytestmark = pytest.mark.usefixtures("cheap_hashes")

POLL_SECONDS = 0.1
NEVER = 3600.0
BOSS = {"x-boss": "the-key-of-the-boss"}


class Instance(NamedTuple):
    """A server, and the kit that it serves."""

    api: httpx.AsyncClient
    kit: Kit

    @property
    def storage(self) -> Storage[Any]:
        return self.kit.deployment.storage

    async def status(self, credential: str, path: str = "/runs") -> int:
        return (await self.api.get(f"/api{path}", headers=bearer(credential))).status_code

    @asynccontextmanager
    async def stream(self, credential: str, **headers: str) -> AsyncIterator[Frames]:
        async with following(self.api, "/api/runs/r/stream", **bearer(credential), **headers) as frames:
            assert frames.response.status_code == 200
            yield frames

    async def post(self, credential: str) -> Any:
        """Record an event in the run that is followed, and return it."""
        answer = await self.api.post("/api/runs/r/events", json={"type": "a"}, headers=bearer(credential))
        return answer.raise_for_status().json()


class Start(Protocol):
    """Starts one more instance on the one database of a test."""

    def __call__(self, poll_seconds: float, bus: Bus[Any] | None = None) -> AbstractAsyncContextManager[Instance]: ...


@pytest.fixture
def start(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    make_storage = storages(engine, request, tmp_path)

    @asynccontextmanager
    async def one_more(poll_seconds: float, bus: Bus[Any] | None = None) -> AsyncIterator[Instance]:
        boss = StaticKey(header="x-boss", keys=[Secret(BOSS["x-boss"])], project=ORIGIN.project)
        kit = Kit(
            storage=make_storage(),
            bus=bus,
            auth={"boss": boss, "keys": HashedKeys()},
            events=EventSettings(poll_seconds=poll_seconds),
            lanes=[Lane("/api", [Runs(), keys_feature.Keys(auth="keys")], ["boss", "keys"])],
        )
        async with serving(kit) as server:
            yield Instance(server.client, kit)

    return one_more


@pytest_asyncio.fixture
async def two(start: Start) -> AsyncIterator[tuple[Instance, Instance]]:
    async with start(POLL_SECONDS) as one, start(POLL_SECONDS) as other:
        yield one, other


@pytest_asyncio.fixture
async def alone(start: Start) -> AsyncIterator[Instance]:
    """An instance that asks only when it is told of a change."""
    async with start(NEVER) as instance:
        yield instance


async def ended(frames: Frames) -> None:
    """Return once the server has closed the stream, as it should within its interval."""
    with pytest.raises(StopAsyncIteration):
        await frames.next()


async def test_a_stream_ends_at_once_where_a_bus_tells_of_the_change(start: Start, redis_url: str) -> None:
    def bus() -> Redis:
        return Redis(url=Secret(redis_url), channel="withdrawals")

    async with start(NEVER, bus()) as one, start(NEVER, bus()) as other:
        key, text = await made(one.storage)
        async with other.stream(text) as frames:
            gone = await one.api.delete(f"/api/admin/users/{key.owner}/api-keys/{key.id}", headers=BOSS)
            assert gone.status_code == 200
            await ended(frames)


async def test_a_key_revoked_on_one_instance_is_refused_by_the_next_request_on_the_other(
    two: tuple[Instance, Instance],
) -> None:
    one, other = two
    refused = 0
    for _ in range(100):
        key, text = await made(one.storage)
        assert [await one.status(text), await other.status(text), await other.status(text)] == [200] * 3
        await Keys(one.storage, PREFIX).revoke(ORIGIN, None, key.id)
        refused += await other.status(text) == 401
        assert await one.status(text) == 401
    assert refused == 100


async def test_its_open_streams_end_on_every_instance(two: tuple[Instance, Instance]) -> None:
    one, other = two
    (key, text), (_, kept) = await made(one.storage), await made(one.storage)
    async with AsyncExitStack() as streams:
        ends = [await streams.enter_async_context(each.stream(text)) for each in (one, other)]
        lasts = await streams.enter_async_context(other.stream(kept))
        await Keys(one.storage, PREFIX).revoke(ORIGIN, None, key.id)
        for frames in ends:
            await ended(frames)
        sent = await other.post(kept)
        assert await lasts.events(1) == [sent]
    assert await other.status(text, "/runs/r/stream") == 401


async def test_what_is_revoked_over_http_ends_streams_of_the_same_instance_at_once(alone: Instance) -> None:
    key, text = await made(alone.storage)
    async with alone.stream(text) as frames:
        answer = await alone.api.delete(f"/api/admin/users/ada/api-keys/{key.id}", headers=BOSS)
        assert answer.status_code == 200, answer.text
        await ended(frames)


async def test_what_is_told_of_a_change_looks_at_once(alone: Instance) -> None:
    """Until then nothing has happened: this instance asks nobody by itself."""
    (key, text), (_, writing) = await made(alone.storage), await made(alone.storage)
    async with alone.stream(text) as frames:
        await Keys(alone.storage, PREFIX).revoke(ORIGIN, None, key.id)
        sent = await alone.post(writing)
        assert await frames.events(1) == [sent]
        alone.kit._vouched.changed()
        await ended(frames)


async def owned(instance: Instance, role: str) -> str:
    """A key with every right on runs, of a user with this role."""
    new = NewUser("ada", "ada@example.org", "correct horse", role)
    owner = await Users(instance.storage).add(ORIGIN, new, {"*"})
    _, text = await made(instance.storage, owner.id)
    return text


async def test_a_role_taken_away_acts_on_the_next_request_and_ends_streams(two: tuple[Instance, Instance]) -> None:
    one, other = two
    text = await owned(one, "developer")
    async with other.stream(text) as frames:
        await other.post(text)
        await frames.events(1)
        await Users(one.storage).set_role(ORIGIN, "ada", "viewer")
        answer = await other.api.post("/api/runs/r/events", json={"type": "a"}, headers=bearer(text))
        assert answer.status_code == 403
        assert await other.status(text) == 200
        await ended(frames)


async def test_disabling_the_owner_acts_on_the_next_request_and_ends_streams(two: tuple[Instance, Instance]) -> None:
    one, other = two
    text = await owned(one, "developer")
    async with other.stream(text) as frames:
        await Users(one.storage).disable(ORIGIN, "ada")
        assert await other.status(text) == 401
        await ended(frames)


async def test_who_may_come_back_has_missed_nothing(two: tuple[Instance, Instance]) -> None:
    """A reader whose rights have changed is asked to come again, and does so with the last id it saw."""
    one, other = two
    text = await owned(one, "viewer")
    _, writing = await made(one.storage)
    async with other.stream(text) as frames:
        first = await other.post(writing)
        assert await frames.events(1) == [first]
        await Users(one.storage).set_role(ORIGIN, "ada", "developer")
        await ended(frames)
    missed = await other.post(writing)
    async with other.stream(text, Last_Event_ID=first["id"]) as frames:
        assert await frames.events(1) == [missed]


async def test_a_stream_lives_through_the_grace_of_a_rotation_and_no_longer(two: tuple[Instance, Instance]) -> None:
    one, other = two
    (key, old), (marker, marked) = await made(one.storage), await made(one.storage)
    service = Keys(one.storage, PREFIX)
    async with other.stream(old) as frames, other.stream(marked) as until_asked:
        _, new = await service.rotate(ORIGIN, None, key.id, 3600, ANYTHING)
        await service.revoke(ORIGIN, None, marker.id)
        await ended(until_asked)
        sent = await other.post(new)
        assert await frames.events(1) == [sent]
        assert [await other.status(each) for each in (old, new)] == [200, 200]
        await change_key(one.storage, key.id, revoked_at=int(time.time() * 1000))
        await ended(frames)
    assert [await other.status(each) for each in (old, new)] == [401, 200]


async def test_a_stream_ends_when_its_key_does(two: tuple[Instance, Instance]) -> None:
    one, other = two
    key, text = await made(one.storage)
    assert await other.status(text) == 200
    ends = time.time() + 1.5
    await change_key(one.storage, key.id, expires_at=int(ends * 1000))
    async with other.stream(text) as frames:
        await ended(frames)
    assert time.time() >= ends
    assert await other.status(text) == 401


async def test_nothing_is_kept_of_streams_that_have_ended(two: tuple[Instance, Instance]) -> None:
    one, other = two
    _, text = await made(one.storage)
    for _ in range(5):
        async with other.stream(text):
            assert len(other.kit._vouched._readers) == 1
        await until(lambda: not other.kit._vouched._readers)
