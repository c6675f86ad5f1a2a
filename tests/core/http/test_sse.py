"""A stream as an answer: a reader that takes nothing is cut off, and one that leaves is noticed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from agentops import EventSettings, Kit, Lane, Unavailable
from agentops.core.http.express import EXPRESS
from agentops.plugins.features.runs import Runs
from agentops.testing.server import LiveServer, following, serving
from tests.core.eventlog.faulty import Faulty
from tests.core.http.asking import scope_of
from tests.core.parts import Kept, events_of, until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentops.core.eventlog import Stream


def kit_of(storage: Faulty, told: Kept, settings: EventSettings) -> Kit:
    return Kit(storage=storage, telemetry={"kept": told}, events=settings, lanes=[Lane("/api", serve=[Runs()])])


@pytest.fixture
def storage(tmp_path: Path) -> Faulty:
    return Faulty(path=str(tmp_path / "agentops.sqlite"))


async def fill(server: LiveServer, megabytes: int) -> None:
    for _ in range(megabytes):
        events = [{"type": "a", "payload": "x" * 65536}] * 16
        (await server.client.post("/api/runs/r/events", json=events)).raise_for_status()


async def test_a_reader_that_takes_nothing_is_cut_off_and_others_are_not(storage: Faulty) -> None:
    told = Kept()
    async with serving(kit_of(storage, told, EventSettings(stall_seconds=0.2))) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"GET /api/runs/r/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b": connected")
        async with following(server.client, "/api/runs/r/stream") as quick:
            reading = asyncio.create_task(quick.events(241))
            for _ in range(240):
                await server.client.post("/api/runs/r/events", json={"type": "a", "payload": "x" * 65536})
            await until(lambda: told.named("stream.stalled"))
            last = (await server.client.post("/api/runs/r/events", json={"type": "last"})).json()
            assert (await reading)[-1] == last
        left = b""
        with suppress(ConnectionResetError):
            while part := await reader.read(65536):
                left = part
        assert not left.endswith(b"0\r\n\r\n"), "it was told that this is all there is"
        writer.close()


async def test_a_reader_that_leaves_is_let_go(storage: Faulty) -> None:
    kit = kit_of(storage, Kept(), EventSettings())
    async with serving(kit) as server:
        for path in ("/api/runs/r/stream", "/api/stream"):
            async with following(server.client, path):
                assert len(streams_of(kit)) == 1
            await until(lambda: not streams_of(kit))


@pytest.mark.parametrize("asked", ["keep-alive", "close"])
async def test_a_connection_is_kept_when_its_stream_has_ended_unless_its_reader_wants_it_closed(
    storage: Faulty, asked: str
) -> None:
    kit = kit_of(storage, Kept(), EventSettings())
    async with serving(kit) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET /api/runs/r/stream HTTP/1.1\r\nHost: x\r\nConnection: {asked}\r\n\r\n".encode())
        await reader.readuntil(b": connected")
        for stream in list(streams_of(kit)):
            stream.end()
        await reader.readuntil(b"0\r\n\r\n")
        if asked == "close":
            assert await reader.read() == b""
        else:
            writer.write(b"GET /api/runs HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()


class LongWay(Runs):
    """The same routes, none of them marked for the short way."""

    def routes(self) -> Sequence[object]:
        routes: Sequence[Any] = super().routes()
        for route in routes:
            route.opt.pop(EXPRESS, None)
        return routes


async def test_the_long_way_leads_to_the_same(storage: Faulty) -> None:
    lanes = [Lane("/short", serve=[Runs()], errors="plain"), Lane("/long", serve=[LongWay()], errors="plain")]
    async with serving(Kit(storage=storage, lanes=lanes)) as server:
        for one, other in (("/short", "/long"), ("/long", "/short")):
            for path in ("/runs/a%2Fb/stream", "/stream"):
                async with following(server.client, f"{one}{path}") as frames:
                    sent = (await server.client.post(f"{other}/runs/a%2Fb/events", json={"type": "a"})).json()
                    assert await frames.events(1) == [sent]
                    assert frames.response.headers["x-accel-buffering"] == "no"
        for path in ("/runs/r/stream?after=x", "/stream?after=x", "/runs/%0a/stream"):
            answers = [await server.client.get(f"{lane}{path}") for lane in ("/short", "/long")]
            assert [answer.status_code for answer in answers] == [400, 400]
            assert answers[0].content == answers[1].content


async def test_a_server_that_cannot_be_asked_to_abort_is_left_all_the_same(storage: Faulty) -> None:
    """Then the reader's side of the connection is the server's to close."""
    app: Any = kit_of(storage, Kept(), EventSettings(stall_seconds=0.05)).app()
    blocked = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await blocked.wait()

    async def receive() -> Any:
        await blocked.wait()

    async with app.lifespan(), asyncio.timeout(10):
        await app(scope_of("GET", "/api/runs/r/stream"), receive, send)


def streams_of(kit: Kit) -> set[Stream[Any]]:
    return events_of(kit)._hub._streams


async def test_a_stream_whose_storage_goes_away_ends_so_that_its_reader_comes_back(storage: Faulty) -> None:
    async with serving(kit_of(storage, Kept(), EventSettings())) as server:
        await fill(server, 1)
        storage.error = Unavailable("away")
        async with following(server.client, "/api/runs/r/stream?after=0") as frames:
            with pytest.raises(StopAsyncIteration):
                await frames.next()
        refused = await server.client.get("/api/runs/r/stream")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "1"
