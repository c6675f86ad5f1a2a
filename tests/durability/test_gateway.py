"""Calls of models while servers die and stop: the books balance to the last micro-dollar, and nothing stays held."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, get_args

import msgspec
import pytest

from agentops.testing.provider import FIELD, FakeProvider
from tests.core.parts import until
from tests.durability.command import Engine, command
from tests.durability.gateways import (
    CHAT,
    Caller,
    configure,
    fake_provider,
    keys_in,
    nothing_is_held,
    opened,
    verify_books,
)
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.durability.apps import Database

KILLS: Final = 3
CALLERS: Final = 16
OWNERS: Final = ("ada", "bob", "ada")
STREAMS: Final = 30
STALLED: Final = 3
LONG: Final = " ".join(["x" * 100_000] * 200)
"""More than the buffers between a provider and a reader take."""
SECONDS_TO_STOP: Final = 5
HOLDS: Final = "SELECT call FROM holds"
HELD: Final = {"then": "hold", "after": 3}


async def test_kills_in_the_middle_of_streams_lose_and_repeat_nothing(
    database: Database, tmp_path: Path, chance: Random
) -> None:
    count = 1 if database.storage == "sqlite" else 2
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(fake_provider("--chunk-seconds", "0.01"))
        storage = await stack.enter_async_context(opened(database))
        keys = await keys_in(storage, *OWNERS)
        folders = [configure(tmp_path / f"server-{number}", database, provider) for number in range(count)]
        servers = [await stack.enter_async_context(command(folder, "uvicorn")) for folder in folders]
        await asyncio.gather(*(server.up() for server in servers))
        callers = [
            Caller(servers[number % count].address, keys[number % len(keys)], chance) for number in range(CALLERS)
        ]
        left_behind = 0
        async with asyncio.TaskGroup() as tasks:
            for caller in callers:
                tasks.create_task(caller.run())
            for number in range(KILLS):
                enough = sum(caller.answered for caller in callers) + 40
                await until(lambda enough=enough: sum(caller.answered for caller in callers) >= enough)  # type: ignore[misc]
                await asyncio.sleep(chance.random() * 0.1)
                while not await storage.read_rows(HOLDS):
                    pass  # where the disk is slow, all of them settle at once
                victim = servers[number % count]
                os.kill(victim.pid, signal.SIGKILL)
                await victim.ended(SECONDS_TO_STOP)
                left_behind += len(await storage.read_rows(HOLDS))
                await victim.up()
            for caller in callers:
                caller.stop()
        assert left_behind, "nobody was killed in the middle of a call"
        await nothing_is_held(storage)
        calls = {call.id: call for call in await verify_books(storage)}
        for server in servers:
            server.terminate()
            assert await server.ended(SECONDS_TO_STOP) == 0
    assert set().union(*(caller.statuses for caller in callers)) <= {200, 502}
    assert sum(caller.cut for caller in callers) >= KILLS
    for caller in callers:
        assert {call: calls[call].cost for call in caller.wholes} == caller.wholes
    ended = sum(call.outcome == "ok" for call in calls.values())
    assert ended >= sum(caller.answered for caller in callers)
    assert {"ok", "cut", "failed"} <= {call.outcome for call in calls.values()}
    assert database.is_intact()


@pytest.mark.parametrize("engine", get_args(Engine))
async def test_a_server_that_stops_settles_its_streams_first(sqlite: Database, tmp_path: Path, engine: Engine) -> None:
    """Also those of readers who have stopped to read, and of whom much waits to be read."""
    async with FakeProvider(reply=LONG) as provider, opened(sqlite) as storage:
        (key,) = await keys_in(storage, "ada")
        async with command(configure(tmp_path / "server", sqlite, provider.url), engine) as served:
            await served.up()
            async with AsyncExitStack() as stack:
                for number in range(STREAMS):
                    stalls = number < STALLED
                    made = await Connection.open(served.address, receive_buffer=4096 if stalls else None)
                    connection = await stack.enter_async_context(made)
                    connection.send(streamed(key) if stalls else streamed(key, max_tokens=5, **{FIELD: HELD}))
                    await connection.frame()
                    if stalls:
                        connection.stop_reading()
                await asyncio.sleep(0.3)  # until no more is taken of those who do not read
                served.terminate()
                assert await served.ended(SECONDS_TO_STOP) == 0
                await provider.abandoned(STREAMS)
        calls = await verify_books(storage)
        assert [call.outcome for call in calls] == ["left"] * STREAMS
        assert all(call.cost for call in calls)


def streamed(key: str, **fields: object) -> bytes:
    """A request for a stream."""
    said = {"model": "small", "messages": [{"role": "user", "content": "hello"}], "stream": True, **fields}
    body = msgspec.json.encode(said)
    lines = (f"POST {CHAT} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
