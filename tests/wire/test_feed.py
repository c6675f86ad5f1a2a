"""The feed over all runs: its cursor is opaque, and everything is seen once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentops.testing.server import following
from tests.wire.deployed import followed

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="session")


def told(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["runId"], event["type"]) for event in events]


async def record(api: httpx.AsyncClient, *kinds: str) -> list[tuple[str, str]]:
    """Record an event of each kind, in two runs by turns."""
    for number, kind in enumerate(kinds):
        await api.post(f"/runs/run-{number % 2}/events", json={"type": kind})
    return [(f"run-{number % 2}", kind) for number, kind in enumerate(kinds)]


async def test_the_feed_holds_the_events_of_all_runs(fresh: httpx.AsyncClient) -> None:
    assert (await fresh.get("/events")).content == b"[]"
    sent = await record(fresh, "a", "b", "c")
    events = (await fresh.get("/events")).json()
    assert told(events) == sent
    assert [events[0], events[2]] == (await fresh.get("/runs/run-0/events")).json()


async def test_the_links_followed_to_the_end_show_every_event_once(fresh: httpx.AsyncClient) -> None:
    sent = await record(fresh, *"abcdef")
    for limit, sizes in (("4", [4, 2]), ("3", [3, 3]), ("7", [6])):
        pages = [page async for page in followed(fresh, f"/events?limit={limit}")]
        assert [len(page) for page in pages] == sizes
        assert told([event for page in pages for event in page]) == sent


async def test_a_stream_of_all_runs_starts_now(fresh: httpx.AsyncClient) -> None:
    await record(fresh, "old")
    async with following(fresh, "/stream") as frames:
        sent = await record(fresh, "a", "b")
        assert told(await frames.events(2)) == sent


async def test_a_stream_resumes_at_the_id_of_any_frame(fresh: httpx.AsyncClient) -> None:
    async with following(fresh, "/stream") as frames:
        sent = await record(fresh, *"abcd")
        received = [await frames.next() for _ in sent]
    cursors = [frame.partition(b"\n")[0].removeprefix(b"id: ").decode() for frame in received]
    for position, cursor in enumerate(cursors[:-1], 1):
        async with following(fresh, "/stream?after=none", Last_Event_ID=cursor) as frames:
            assert told(await frames.events(len(sent) - position)) == sent[position:]
        page = await fresh.get("/events", params={"after": cursor})
        assert told(page.json()) == sent[position:]


async def test_the_end_of_a_page_is_where_a_stream_can_begin(fresh: httpx.AsyncClient) -> None:
    sent = await record(fresh, *"abcd")
    link = (await fresh.get("/events?limit=2")).links["next"]["url"]
    async with following(fresh, link.replace("/events", "/stream").replace("/api/", "/")) as frames:
        sent += await record(fresh, "e")
        assert told(await frames.events(3)) == sent[2:]


async def test_a_stream_of_all_runs_loses_nothing_under_many_senders(fresh: httpx.AsyncClient) -> None:
    async with following(fresh, "/stream") as frames:
        async with asyncio.TaskGroup() as group:
            for number in range(60):
                group.create_task(fresh.post(f"/runs/run-{number % 6}/events", json={"type": str(number)}))
        events = await frames.events(60)
    assert sorted(int(event["type"]) for event in events) == list(range(60))
    for run in {event["runId"] for event in events}:
        ids = [int(event["id"]) for event in events if event["runId"] == run]
        assert ids == sorted(ids)


@pytest.mark.parametrize("cursor", ["none", "-1", "1'; --", "9" * 40])
async def test_a_cursor_that_the_feed_did_not_give_is_400(api: httpx.AsyncClient, cursor: str) -> None:
    for answer in (
        await api.get("/events", params={"after": cursor}),
        await api.get("/stream", params={"after": cursor}),
        await api.get("/stream", headers={"Last-Event-ID": cursor}),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_cursor"
