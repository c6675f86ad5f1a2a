"""SIGTERM with a thousand open streams: out within five seconds, everything acknowledged is stored, readers resume."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Final, get_args

import pytest

from tests.durability.apps import Plan
from tests.durability.command import Engine, command
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by
from tests.durability.processes import server
from tests.durability.wire import Connection, stalled_reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.durability.apps import Database
    from tests.durability.command import Command
    from tests.durability.processes import Server
    from tests.durability.wire import Address

STREAMS: Final = 1000
SECONDS_TO_STOP: Final = 5
A_LITTLE: Final = {"type": "tick", "payload": "x" * 40_000}
"""Less than the 64 KiB at which uvicorn waits for a reader."""
BIG_ARRAY: Final = [{"type": "tick", "payload": "x" * 20_000}] * 100


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(params=["own app", "inside a host app", "agentops serve on uvicorn", "agentops serve on granian"])
async def served(request: pytest.FixtureRequest, tmp_path: Path, sqlite: Database) -> AsyncIterator[Server | Command]:
    match request.param.split():
        case ["agentops", "serve", "on", engine]:
            async with command(tmp_path, engine) as made:
                yield made
        case [where, *_]:
            with server(Plan(sqlite, inside_host=where == "inside")) as made:
                yield made


@pytest.mark.parametrize("engine", get_args(Engine))
async def test_it_says_that_it_leaves_and_serves_on_until_a_second_signal(tmp_path: Path, engine: Engine) -> None:
    async with _told_to_leave(tmp_path, engine, notice=60) as served:
        async with asyncio.timeout(SECONDS_TO_STOP):
            while await _status(served.address, "/api/ready") == 200:
                pass
        assert await _status(served.address, "/api/live") == 200
        served.terminate()
        assert await served.ended(within=SECONDS_TO_STOP) == 0


@pytest.mark.parametrize("engine", get_args(Engine))
async def test_it_leaves_when_its_notice_is_over(tmp_path: Path, engine: Engine) -> None:
    async with _told_to_leave(tmp_path, engine, notice=1) as served:
        told = time.monotonic()
        assert await served.ended(within=1 + SECONDS_TO_STOP) == 0
        assert time.monotonic() - told > 0.9


@asynccontextmanager
async def _told_to_leave(folder: Path, engine: Engine, notice: int) -> AsyncIterator[Command]:
    sets = (f"server.notice_seconds={notice}", 'lanes.api.serve=["operations","runs"]')
    async with command(folder, engine, *sets) as served:
        await served.up()
        assert await _status(served.address, "/api/ready") == 200
        served.terminate()
        yield served


async def _status(address: Address, path: str) -> int:
    async with await Connection.open(address) as connection:
        return (await connection.get(path)).status


async def test_a_thousand_streams_do_not_hold_the_server(served: Server | Command) -> None:
    ledger = Ledger("busy")
    await served.up()
    followers = [Follower(served.address, f"{ledger.path}/stream", "0") for _ in range(10)]
    producers = [Producer(f"p{number}", served.address, ledger, Random(number)) for number in range(4)]
    async with at_work(*followers):
        async with at_work(*producers):
            async with _quiet_streams(served.address, STREAMS - len(followers)):
                await ledger.grows(by=100)
                served.terminate()
                assert await served.ended(within=SECONDS_TO_STOP) == 0
            await served.up()
            await ledger.grows(by=100)
        stored = await events_of(served.address, ledger)
        for follower in followers:
            await follower.has(stored[-1][0])
    ledger.verify(stored)
    for follower in followers:
        assert seen_by(follower) == stored
        assert follower.connections == 2


async def test_readers_that_stall_do_not_hold_the_server(served: Server | Command) -> None:
    await served.up()
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(await stalled_reader(served.address, "/api/runs/r/stream"))
        connection = await stack.enter_async_context(await Connection.open(served.address))
        for _ in range(6):
            assert (await connection.post("/api/runs/r/events", BIG_ARRAY)).status == 201
        served.terminate()
        assert await served.ended(within=SECONDS_TO_STOP) == 0


async def test_a_reader_that_leaves_a_little_unread_does_not_hold_the_server(sqlite: Database) -> None:
    """Too little to block a write."""
    async with _a_little_unread(sqlite) as (served, _):
        served.terminate()
        assert await served.ended(within=SECONDS_TO_STOP) == 0


async def test_a_reader_that_takes_the_rest_is_given_it(sqlite: Database) -> None:
    async with _a_little_unread(sqlite) as (served, reader):
        served.terminate()
        reader.read_on()
        assert [frame.id async for frame in reader.frames()][1:] == ["1"]
        assert await served.ended(within=SECONDS_TO_STOP) == 0


async def test_an_answer_that_is_not_taken_does_not_hold_the_server(tmp_path: Path) -> None:
    async with command(tmp_path, "uvicorn") as served:
        await served.up()
        async with (
            await Connection.open(served.address) as writer,
            await Connection.open(served.address, receive_buffer=4096) as reader,
        ):
            for _ in range(4):
                assert (await writer.post("/api/runs/r/events", BIG_ARRAY)).status == 201
            assert (await reader.begin("/api/runs/r/events"))[0] == 200
            reader.stop_reading()
            served.terminate()
            assert await served.ended(within=SECONDS_TO_STOP) == 0


@asynccontextmanager
async def _a_little_unread(sqlite: Database) -> AsyncIterator[tuple[Server, Connection]]:
    """A stream whose last event is neither in the kernel nor large enough for the server to stop writing."""
    with server(Plan(sqlite), send_buffer=4096) as served:
        await served.up()
        async with (
            await stalled_reader(served.address, "/api/runs/r/stream") as reader,
            await Connection.open(served.address) as connection,
        ):
            assert (await connection.post("/api/runs/r/events", A_LITTLE)).status == 201
            assert (await connection.get("/api/census")).status == 200
            yield served, reader


@asynccontextmanager
async def _quiet_streams(address: Address, count: int) -> AsyncIterator[None]:
    """Streams on which nothing happens; each must have been ended properly when the block ends, not cut."""
    async with asyncio.TaskGroup() as tasks:
        opened = [asyncio.get_running_loop().create_future() for _ in range(count)]
        for number, connected in enumerate(opened):
            tasks.create_task(_watch(address, f"/api/runs/quiet-{number % 100}/stream", connected))
        await asyncio.gather(*opened)
        yield


async def _watch(address: Address, path: str, connected: asyncio.Future[None]) -> None:
    async with await Connection.open(address) as connection:
        async for frame in connection.follow(path):
            if frame.comment == "connected":
                connected.set_result(None)
