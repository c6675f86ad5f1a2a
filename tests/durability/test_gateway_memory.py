"""Large prompts from very many at once: what does not fit is refused, and what is being streamed is let go."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import psutil
import pytest

from agentops.testing.provider import FakeProvider, Fault
from tests.core.parts import until
from tests.durability.command import command
from tests.durability.gateways import CHAT, configure, keys_in, opened
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.durability.apps import Database
    from tests.durability.command import Command

CALLS: Final = 1_500
PROMPT: Final = "x" * 150_000
ROOM: Final = 30_000_000
STREAMS: Final = 300
WARM: Final = 20
OF_A_BYTE: Final = 3
"""What a byte of a prompt takes: it is there as it came, as it is sent on, and on its way out."""
OF_A_CONNECTION: Final = 160_000
"""What there is of one at most: itself, and what the kernel hands over before it can be told to wait."""
OF_A_STREAM: Final = 80_000


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Served:
    """A server, somebody who may call it, and how much memory it has taken since it was warm."""

    def __init__(self, server: Command, key: str) -> None:
        self.server = server
        self._key = key
        self._process = psutil.Process(server.pid)
        self._before = 0

    def request(self, text: str = PROMPT, **fields: object) -> bytes:
        said = {"model": "small", "messages": [{"role": "user", "content": text}], "max_tokens": 10, **fields}
        body = msgspec.json.encode(said)
        lines = (f"POST {CHAT} HTTP/1.1", "Host: x", f"Authorization: Bearer {self._key}")
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    async def warm(self) -> None:
        async with await Connection.open(self.server.address) as connection:
            for _ in range(WARM):
                connection.send(self.request())
                assert (await connection.answer()).status == 200
        self._before = self._process.memory_info().rss

    @property
    def grown(self) -> int:
        """In bytes."""
        return self._process.memory_info().rss - self._before

    async def in_flight(self) -> float:
        """What the gauge shows."""
        async with await Connection.open(self.server.address) as connection:
            answer = await connection.get("/api/metrics", {"Authorization": f"Bearer {self._key}"})
        (line,) = [line for line in answer.body.decode().split("\n") if line.startswith("agentops_llm_bytes_in_flight")]
        return float(line.split(" ")[1])


@asynccontextmanager
async def served(sqlite: Database, folder: Path, provider: FakeProvider) -> AsyncIterator[Served]:
    async with opened(sqlite) as storage:
        (key,) = await keys_in(storage, "ada")
    async with command(configure(folder, sqlite, provider.url, bytes_in_flight=ROOM), "uvicorn") as server:
        await server.up()
        made = Served(server, key)
        await made.warm()
        yield made


async def test_what_does_not_fit_is_refused(sqlite: Database, tmp_path: Path) -> None:
    async with FakeProvider(keeps_requests=False) as provider, served(sqlite, tmp_path, provider) as gateway:
        provider.always = Fault(then="hold")
        request = gateway.request()
        fit = ROOM // len(request)
        statuses: Counter[int] = Counter()

        async def ask() -> None:
            async with await Connection.open(gateway.server.address) as connection:
                connection.send(request)
                statuses[(await connection.answer()).status] += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CALLS):
                tasks.create_task(ask())
            await until(lambda: statuses[503] == CALLS - fit)
            await provider.received(WARM + fit)
            grown = gateway.grown
            assert ROOM * 0.99 < await gateway.in_flight() <= ROOM
            provider.release()
        assert statuses == {503: CALLS - fit, 200: fit}
        assert await gateway.in_flight() == 0
        assert grown < OF_A_BYTE * ROOM + OF_A_CONNECTION * CALLS


async def test_a_stream_that_has_begun_holds_nothing_of_what_was_asked(sqlite: Database, tmp_path: Path) -> None:
    async with FakeProvider(keeps_requests=False) as provider, served(sqlite, tmp_path, provider) as gateway:
        provider.always = Fault(then="hold", after=3)
        request = gateway.request(stream=True)
        async with AsyncExitStack() as stack:
            for _ in range(STREAMS):
                connection = await stack.enter_async_context(await Connection.open(gateway.server.address))
                connection.send(request)
                await connection.frame()
            assert await gateway.in_flight() == 0
            assert gateway.grown < OF_A_STREAM * STREAMS
