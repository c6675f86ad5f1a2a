"""A run, followed live."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from agentops.testing.server import following

if TYPE_CHECKING:
    import httpx

    from tests.wire.deployed import Deploy, Deployed

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def post(api: httpx.AsyncClient, run: str, *kinds: str) -> list[Any]:
    """Record an event of each kind, and return them as they are stored."""
    return [
        (await api.post(f"/runs/{run}/events", json={"type": kind, "payload": {"ä": "€"}})).raise_for_status().json()
        for kind in kinds
    ]


async def test_the_headers_keep_proxies_and_browsers_from_holding_it_back(api: httpx.AsyncClient, run: str) -> None:
    async with following(api, f"/runs/{run}/stream") as frames:
        headers = frames.response.headers
    assert frames.response.status_code == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["connection"] == "keep-alive"
    assert headers["x-accel-buffering"] == "no"


async def test_a_frame_is_the_id_and_the_event_on_one_line(api: httpx.AsyncClient, run: str) -> None:
    async with following(api, f"/runs/{run}/stream") as frames:
        answer = await api.post(f"/runs/{run}/events", json={"type": "log", "payload": {"ä": "€\n"}})
        number = answer.json()["id"].encode()
        assert await frames.next() == b"id: %b\ndata: %b\n\n" % (number, answer.content)


async def test_without_a_cursor_a_stream_starts_now(api: httpx.AsyncClient, run: str) -> None:
    await post(api, run, "old")
    async with following(api, f"/runs/{run}/stream") as frames:
        new = await post(api, run, "new")
        assert await frames.events(1) == new


async def test_an_unknown_run_streams_and_then_starts(api: httpx.AsyncClient, run: str) -> None:
    async with following(api, f"/runs/{run}/stream") as frames:
        assert (await api.get(f"/runs/{run}")).status_code == 404
        sent = await post(api, run, "first", "second")
        assert await frames.events(2) == sent


@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_a_stream_resumes_right_behind_its_cursor(api: httpx.AsyncClient, run: str, how: str) -> None:
    """`Last-Event-ID` wins: a browser reconnects with it to the address it was given at first."""
    events = await post(api, run, "a", "b", "c")
    first, second = events[0]["id"], events[1]["id"]
    query = {"header": "", "query": f"?after={first}", "both": f"?after={second}"}[how]
    headers = {} if how == "query" else {"Last_Event_ID": first}
    async with following(api, f"/runs/{run}/stream{query}", **headers) as frames:
        live = await post(api, run, "d")
        assert await frames.events(3) == events[1:] + live


async def test_a_stream_from_zero_shows_everything_and_goes_on(api: httpx.AsyncClient, run: str) -> None:
    await api.post(f"/runs/{run}/events", json=[{"type": str(number)} for number in range(2500)])
    async with following(api, f"/runs/{run}/stream?after=0") as frames:
        live = await post(api, run, "live")
        events = await frames.events(2501)
    assert [event["type"] for event in events] == [*map(str, range(2500)), "live"]
    assert events[-1:] == live


async def test_an_array_arrives_as_single_frames_in_order(api: httpx.AsyncClient, run: str) -> None:
    async with following(api, f"/runs/{run}/stream") as frames:
        await api.post(f"/runs/{run}/events", json=[{"type": "a"}, {"type": "b"}])
        assert [event["type"] for event in await frames.events(2)] == ["a", "b"]


async def test_a_repeated_key_is_not_streamed_again(api: httpx.AsyncClient, run: str) -> None:
    async with following(api, f"/runs/{run}/stream") as frames:
        for _ in range(2):
            await api.post(f"/runs/{run}/events", json={"type": "a", "key": "k"})
        await api.post(f"/runs/{run}/events", json={"type": "b"})
        assert [event["type"] for event in await frames.events(2)] == ["a", "b"]


async def test_a_stream_is_of_one_run_only(api: httpx.AsyncClient, run: str) -> None:
    async with following(api, f"/runs/{run}/stream") as frames:
        await post(api, f"{run}-2", "other")
        sent = await post(api, run, "new")
        assert await frames.events(1) == sent


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "1e3", "0x10", "٣", "9" * 19])
async def test_a_cursor_that_is_no_id_is_400(api: httpx.AsyncClient, run: str, cursor: str) -> None:
    for answer in (
        await api.get(f"/runs/{run}/stream", params={"after": cursor}),
        await api.get(f"/runs/{run}/stream", headers=[(b"Last-Event-ID", cursor.encode())]),
        await api.get(f"/runs/{run}/events", params={"after": cursor}),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_cursor"


async def test_an_empty_cursor_is_none(api: httpx.AsyncClient, run: str) -> None:
    await post(api, run, "old")
    async with following(api, f"/runs/{run}/stream?after=", Last_Event_ID="") as frames:
        sent = await post(api, run, "new")
        assert await frames.events(1) == sent


async def test_an_id_that_was_never_given_out_is_a_gap_and_then_what_is_new(api: httpx.AsyncClient, run: str) -> None:
    """A browser that comes back to a database restored from a backup must not wait for its old numbers."""
    newest = int((await post(api, run, "old"))[0]["id"])
    async with following(api, f"/runs/{run}/stream", Last_Event_ID="999999999999") as frames:
        gap = await frames.next()
        sent = await post(api, run, "new")
        assert await frames.events(1) == sent
    assert (match := re.fullmatch(rb'event: gap\ndata: {"after":"999999999999","oldest":"(\d+)"}\n\n', gap))
    assert int(match[1]) > newest
    assert (await api.get(f"/runs/{run}/events?after=999999999999")).content == b"[]"


async def test_a_heartbeat_says_when_it_beat(deploy: Deploy, run: str) -> None:
    async with deploy("events.heartbeat_seconds=0.05") as up, following(up.api, f"/runs/{run}/stream") as frames:
        beats = [await frames.next() for _ in range(3)]
        sent = await post(up.api, run, "new")
        assert await frames.events(1) == sent
    times = [int(re.fullmatch(rb": heartbeat (\d{13})\n\n", beat)[1]) for beat in beats]  # type: ignore[index]
    assert times[0] < times[1] < times[2]


async def test_a_quiet_stream_is_silent_between_heartbeats(deploy: Deploy, run: str) -> None:
    async with deploy("events.heartbeat_seconds=30") as up, following(up.api, f"/runs/{run}/stream") as frames:
        with pytest.raises(TimeoutError):
            await frames.next(0.2)


async def test_streams_end_when_the_server_stops(deploy: Deploy, run: str) -> None:
    async with deploy() as up:
        stream = following(up.api, f"/runs/{run}/stream")
        frames = await stream.__aenter__()
        up.drain()
        with pytest.raises(StopAsyncIteration):
            await frames.next()
        await stream.__aexit__(None, None, None)
        refused = await up.api.get(f"/runs/{run}/stream")
        assert refused.status_code == 503
        assert refused.json()["error"] == "draining"
        assert int(refused.headers["retry-after"]) >= 1


async def test_many_readers_see_the_same_bytes(shared: Deployed, run: str) -> None:
    async with asyncio.TaskGroup() as group:
        open_now = asyncio.Semaphore(0)

        async def read() -> bytes:
            async with following(shared.api, f"/runs/{run}/stream") as frames:
                open_now.release()
                return b"".join([await frames.next() for _ in range(20)])

        readers = [group.create_task(read()) for _ in range(10)]
        for _ in readers:
            await open_now.acquire()
        for number in range(10):
            await shared.api.post(f"/runs/{run}/events", json=[{"type": f"{number}a"}, {"type": f"{number}b"}])
    assert len({reader.result() for reader in readers}) == 1
