"""The newest events of a run are kept: never fewer than the limit, at most a tenth more, seen from outside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentops.testing.server import following

if TYPE_CHECKING:
    import httpx

    from tests.wire.deployed import Deploy

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEEP = 50


async def types(api: httpx.AsyncClient, run: str) -> list[int]:
    events = (await api.get(f"/runs/{run}/events?limit=1000")).raise_for_status().json()
    return [int(event["type"]) for event in events]


def assert_kept(seen: list[int], sent: int, keep: int = KEEP) -> None:
    """What is seen ends with the newest, without a hole, and is neither too short nor too long."""
    assert seen == list(range(sent))[-len(seen) :]
    assert min(sent, keep) <= len(seen) <= keep + keep // 10


async def test_after_every_event_the_newest_are_kept(deploy: Deploy, run: str) -> None:
    async with deploy(EVENT_RETENTION_MAX=str(KEEP)) as up:
        for number in range(3 * KEEP):
            await up.api.post(f"/runs/{run}/events", json={"type": str(number)})
            if number > KEEP - 5:
                assert_kept(await types(up.api, run), number + 1)
        assert (await up.api.get(f"/runs/{run}")).json()["eventCount"] == 3 * KEEP


async def test_after_one_big_array_the_newest_are_kept(deploy: Deploy, run: str) -> None:
    async with deploy(EVENT_RETENTION_MAX=str(KEEP)) as up:
        await up.api.post(f"/runs/{run}/events", json=[{"type": str(number)} for number in range(10 * KEEP)])
        assert_kept(await types(up.api, run), 10 * KEEP)


async def test_another_run_keeps_its_own(deploy: Deploy, run: str) -> None:
    async with deploy(EVENT_RETENTION_MAX=str(KEEP)) as up:
        await up.api.post(f"/runs/{run}-2/events", json=[{"type": "0"}])
        await up.api.post(f"/runs/{run}/events", json=[{"type": str(number)} for number in range(3 * KEEP)])
        assert await types(up.api, f"{run}-2") == [0]


async def test_zero_keeps_all(deploy: Deploy, run: str) -> None:
    async with deploy(EVENT_RETENTION_MAX="0") as up:
        await up.api.post(f"/runs/{run}/events", json=[{"type": str(number)} for number in range(900)])
        assert await types(up.api, run) == list(range(900))


async def test_5000_are_kept_when_nothing_is_said(api: httpx.AsyncClient, run: str) -> None:
    await api.post(f"/runs/{run}/events", json=[{"type": str(number)} for number in range(6000)])
    first = (await api.get(f"/runs/{run}/events?limit=1")).json()[0]
    assert_kept(list(range(int(first["type"]), 6000)), 6000, 5000)


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_cursor_whose_events_were_pruned_is_told_of_the_gap(deploy: Deploy, run: str, how: str) -> None:
    async with deploy(EVENT_RETENTION_MAX=str(KEEP)) as up:
        first = (await up.api.post(f"/runs/{run}/events", json={"type": "0"})).json()["id"]
        await up.api.post(f"/runs/{run}/events", json=[{"type": str(number)} for number in range(1, 4 * KEEP)])
        query, headers = (f"?after={first}", {}) if how == "query" else ("", {"Last_Event_ID": first})
        async with following(up.api, f"/runs/{run}/stream{query}", **headers) as frames:
            gap = await frames.next()
            event = (await frames.events(1))[0]
            rest = await frames.events(4 * KEEP - 1 - int(event["type"]))
    assert gap == b'event: gap\ndata: {"after":"%b","oldest":"%b"}\n\n' % (first.encode(), event["id"].encode())
    assert_kept([int(event["type"]) for event in [event, *rest]], 4 * KEEP)


async def test_a_cursor_whose_events_are_all_there_is_told_of_no_gap(deploy: Deploy, run: str) -> None:
    async with deploy(EVENT_RETENTION_MAX=str(KEEP)) as up:
        await up.api.post(f"/runs/{run}/events", json=[{"type": str(number)} for number in range(4 * KEEP)])
        events = (await up.api.get(f"/runs/{run}/events")).json()
        async with following(up.api, f"/runs/{run}/stream?after={events[-3]['id']}") as frames:
            assert await frames.events(2) == events[-2:]
            with pytest.raises(TimeoutError):
                await frames.next(0.1)


async def test_a_feed_cursor_whose_events_were_pruned_is_told_of_the_gap(deploy: Deploy, run: str) -> None:
    async with deploy(EVENT_RETENTION_MAX=str(KEEP)) as up:
        sent = [{"type": str(number)} for number in range(4 * KEEP)]
        answer = (await up.api.post(f"/runs/{run}/events", json=sent)).json()
        async with asyncio.timeout(20):
            while len((await up.api.get("/events?limit=1000")).json()) > KEEP:
                pass
        async with following(up.api, f"/stream?after={answer['first']}") as frames:
            assert (await frames.next()).startswith(
                b'event: gap\ndata: {"after":"%b","oldest":' % answer["first"].encode()
            )
            assert len(await frames.events(KEEP)) == KEEP


async def test_a_feed_cursor_from_the_future_is_told_of_the_gap_and_sees_what_is_new(deploy: Deploy, run: str) -> None:
    async with deploy() as up:
        await up.api.post(f"/runs/{run}/events", json={"type": "old"})
        async with following(up.api, "/stream?after=99999999") as frames:
            assert (await frames.next()).startswith(b"event: gap\n")
            event = (await up.api.post(f"/runs/{run}/events", json={"type": "new"})).json()
            assert await frames.events(1) == [event]


async def test_a_cursor_of_the_feed_whose_events_were_pruned_is_told_of_the_gap(deploy: Deploy, run: str) -> None:
    async with deploy(EVENT_RETENTION_MAX=str(KEEP)) as up:
        async with following(up.api, "/stream") as frames:
            await up.api.post(f"/runs/{run}/events", json=[{"type": "0"}, {"type": "1"}])
            first = (await frames.next()).partition(b"\n")[0].removeprefix(b"id: ").decode()
        for number in range(2, 4 * KEEP):
            await up.api.post(f"/runs/{run}/events", json={"type": str(number)})
        async with asyncio.timeout(10):
            gap, event = await resumed(up.api, first)
            while not gap.startswith(b"event: gap\n"):
                gap, event = await resumed(up.api, first)
    cursor = event.partition(b"\n")[0].removeprefix(b"id: ")
    assert gap == b'event: gap\ndata: {"after":"%b","oldest":"%b"}\n\n' % (first.encode(), cursor)


async def resumed(api: httpx.AsyncClient, cursor: str) -> tuple[bytes, bytes]:
    """The first two frames behind a cursor of the feed."""
    async with following(api, "/stream", Last_Event_ID=cursor) as frames:
        return await frames.next(), await frames.next()
