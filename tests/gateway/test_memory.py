"""What of a request is in memory: it is counted for as long as it is, and no longer kept than it is needed."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from agentops.testing.provider import FakeProvider, Fault
from tests.gateway.calling import asking, datas_of, lines_of, post
from tests.gateway.gated import CHAT, Gated, gated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PROMPT = [{"role": "user", "content": "x" * 60_000}]
ROOM = 100_000


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(reply="one two three") as made:
        yield made


@asynccontextmanager
async def streaming(gate: Gated) -> AsyncIterator[None]:
    """One that has begun, and lasts as long as the block."""
    body: dict[str, Any] = {"model": "small", "messages": PROMPT, "stream": True}
    headers = {"Authorization": "Bearer alice"}
    async with gate.server.client.stream("POST", CHAT, json=body, headers=headers) as answer:
        assert answer.status_code == 200
        lines = lines_of(answer)
        await anext(lines)
        yield


def counted(gate: Gated) -> float:
    return [value for _, name, value, _ in gate.told.figures if name == "llm.bytes_in_flight"][-1]


async def test_what_does_not_fit_beside_another_is_told_to_come_again(tmp_path: Path, provider: FakeProvider) -> None:
    provider.fail(Fault(then="hold"))
    async with gated(tmp_path, {"first": asking(provider)}, bytes_in_flight=ROOM) as gate:
        first = asyncio.create_task(post(gate, messages=PROMPT))
        await provider.received(1)
        assert 60_000 < counted(gate) < ROOM
        refused = await post(gate, messages=PROMPT)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await post(gate)).is_success
        provider.release()
        assert (await first).is_success
        assert counted(gate) == 0
        assert (await post(gate, messages=PROMPT)).is_success


async def test_one_that_is_refused_or_fails_takes_no_room(tmp_path: Path, provider: FakeProvider) -> None:
    async with gated(tmp_path, {"first": asking(provider)}, bytes_in_flight=ROOM) as gate:
        wrong: list[dict[str, Any]] = [{"model": "other"}, {"n": "x"}, {"x_fault": {"status": 500}}]
        for fields in wrong:
            for streamed in (False, True):
                answer = await post(gate, messages=PROMPT, stream=streamed, **fields)
                assert not answer.is_success
                assert counted(gate) == 0


async def test_a_stream_lets_go_what_was_asked(tmp_path: Path, provider: FakeProvider) -> None:
    provider.always = Fault(then="hold", after=2)
    async with gated(tmp_path, {"first": asking(provider)}, bytes_in_flight=ROOM) as gate, AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(streaming(gate))
            assert counted(gate) == 0


async def test_where_content_is_recorded_it_is_counted_to_the_end(tmp_path: Path, provider: FakeProvider) -> None:
    provider.fail(Fault(then="hold", after=2))
    async with gated(tmp_path, {"first": asking(provider)}, bytes_in_flight=ROOM, content="on") as gate:
        async with streaming(gate):
            assert 60_000 < counted(gate) < ROOM
            assert (await post(gate, messages=PROMPT, stream=True)).status_code == 503
        await provider.abandoned(1)
        assert datas_of(await post(gate, messages=PROMPT, stream=True))[-1] == "[DONE]"
        assert counted(gate) == 0


async def test_a_connection_keeps_nothing_that_was_not_read(tmp_path: Path, provider: FakeProvider) -> None:
    provider.fail(Fault(then="hold"))
    async with gated(tmp_path, {"first": asking(provider)}, bytes_in_flight=ROOM) as gate:
        first = asyncio.create_task(post(gate, messages=PROMPT))
        await provider.received(1)
        assert (await post(gate, messages=PROMPT)).status_code == 503
        cycles = [each for each in gc.get_objects() if type(each) is RequestResponseCycle]
        assert [len(cycle.body) for cycle in cycles if cycle.body] == []
        provider.release()
        await first
