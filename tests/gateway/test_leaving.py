"""Whoever leaves, is sent away or is left by a server that stops: the provider is cut off, and what came is charged."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agentops import Kit, Lane
from agentops.accounts.keys import Keys
from agentops.accounts.wanted_key import Granter, Wanted
from agentops.core.allowance import Allowance
from agentops.core.ports.model import Usage
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.features.gateway import Gateway
from agentops.plugins.features.gateway.serving import LAST_SECONDS
from agentops.plugins.models.anthropic import Anthropic
from agentops.testing.provider import FakeProvider, Fault
from agentops.testing.server import serving
from tests.core.parts import Kept, storage_in, until
from tests.durability.wire import Connection
from tests.gateway.calling import (
    BODIES,
    asking,
    assert_nothing_is_held,
    call_in,
    calls_in,
    datas_of,
    lines_of,
    post,
    quick,
    spent_in,
)
from tests.gateway.gated import CHAT, PRICE, Gated, Who, gated
from tests.security.key_making import ORIGIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agentops.money.line import Lines

REPLY = "one two three four five"
READ = 4
"""Tokens of `hello`, as they are estimated."""
CAME = 2
"""Of the two words that come before a stream is on hold."""
SECONDS_TO_STOP = 5
HELD = Fault(then="hold", after=3)
PURSE = "key:alice:day"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(reply=REPLY, usage=Usage(20, 10)) as made:
        yield made


@asynccontextmanager
async def before(folder: Path, provider: FakeProvider, **more: Any) -> AsyncIterator[Gated]:
    settings: dict[str, Any] = {"each_key": {"budget_day": 1_000_000}, **more}
    async with gated(folder, {"first": asking(provider)}, **settings) as gate:
        yield gate


@asynccontextmanager
async def streamed(gate: Gated, path: str = "chat/completions", **fields: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """What its events hold; it is left when the block ends, wherever it is."""
    body = {"model": "small", **BODIES[path], **fields, "stream": True}
    headers = {"Authorization": "Bearer alice"}
    async with gate.server.client.stream("POST", f"/api/llm/{path}", json=body, headers=headers) as answer:
        assert answer.status_code == 200
        yield lines_of(answer)


async def first_of(lines: AsyncIterator[Any], count: int) -> None:
    for _ in range(count):
        await anext(lines)


async def over(gate: Gated, calls: int = 1) -> None:
    """Return once so many calls are settled."""
    await until(lambda: sum(name == "llm.calls" for _, name, _, _ in gate.told.figures) == calls)
    await assert_nothing_is_held(gate.kit)


def lines_in(kit: Kit) -> Lines:
    """Those in which calls wait for room."""
    (gateway,) = (feature for feature in kit.deployment.features if isinstance(feature, Gateway))
    return gateway._serving._desk._till._lines


class TestClientsLeave:
    @pytest.mark.parametrize("fields", [{}, {"stream": True}], ids=["whole", "streamed"])
    async def test_before_an_answer(self, tmp_path: Path, provider: FakeProvider, fields: dict[str, Any]) -> None:
        provider.always = Fault(then="hold", after=0)
        async with before(tmp_path, provider, retry=quick()) as gate:
            asked = asyncio.create_task(post(gate, **fields))
            await provider.received(1)
            asked.cancel()
            await provider.abandoned(1)
            await over(gate)
            call = await call_in(gate.kit)
            assert (call.outcome, call.tries, call.output, call.estimated) == ("left", 1, 0, True)
            assert call.input == call.cost == READ  # it was being read, and is on the provider's bill
            assert len(provider.requests) == 1

    async def test_in_the_middle_of_a_stream(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = HELD
        async with before(tmp_path, provider) as gate:
            async with streamed(gate) as lines:
                await first_of(lines, 3)
            await provider.abandoned(1)
            await over(gate)
            call = await call_in(gate.kit)
            assert (call.outcome, call.input, call.output, call.estimated) == ("left", READ, CAME, True)
            assert call.cost == await spent_in(gate.kit, PURSE) == READ + CAME
            (run,) = [run["id"] for run in await gate.get("/runs")]
            last = (await gate.events(run))[-1]
            assert (last["type"], last["payload"]["costMicroDollars"]) == ("llm.cancelled", call.cost)

    async def test_in_the_words_of_responses(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = Fault(then="hold", after=6)
        async with before(tmp_path, provider) as gate:
            async with streamed(gate, "responses") as lines:
                await first_of(lines, 6)
            await provider.abandoned(1)
            await over(gate)
            call = await call_in(gate.kit)
            assert (call.outcome, call.estimated) == ("left", True)
            assert call.output >= 1

    async def test_what_anthropic_had_read_by_then_is_known(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = Fault(then="hold", after=5)
        async with gated(tmp_path, {"first": Anthropic(base_url=provider.url, key="sk-ant-ours")}) as gate:
            async with streamed(gate, "messages") as lines:
                await first_of(lines, 5)
            await provider.abandoned(1)
            await over(gate)
            call = await call_in(gate.kit)
            assert (call.outcome, call.input, call.estimated) == ("left", 20, True)
            assert call.output >= 1

    async def test_without_goodbye_and_with_much_unread(self, tmp_path: Path, provider: FakeProvider) -> None:
        """The provider waits for the gateway, and the gateway for its caller, who then resets the connection."""
        provider.reply = " ".join(["x" * 1_000] * 10_000)
        async with before(tmp_path, provider) as gate:
            connection = await Connection.open(("127.0.0.1", gate.server.port), receive_buffer=4096)
            body = msgspec.json.encode({"model": "small", **BODIES["chat/completions"], "stream": True})
            head = (
                f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.send(head.encode() + body)
            await connection.frame()
            connection.stop_reading()
            assert provider.under_way == 1
            connection.reset()
            await provider.abandoned(1)
            await over(gate)
            call = await call_in(gate.kit)
            assert call.outcome == "left"
            assert 0 < call.output < 10_000 * 1_000 // 4

    async def test_while_a_try_is_waited_for(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = Fault(status=429, retry_after=20)
        async with before(tmp_path, provider, retry=quick()) as gate:
            asked = asyncio.create_task(post(gate))
            await until(lambda: gate.told.named("llm.retry"))
            asked.cancel()
            await over(gate)
            call = await call_in(gate.kit)
            assert (call.outcome, call.tries, call.cost) == ("left", 1, 0)
            (run,) = [run["id"] for run in await gate.get("/runs")]
            assert [event["type"] for event in await gate.events(run)] == ["llm.request", "llm.retry", "llm.cancelled"]

    async def test_in_line_for_a_budget(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = HELD
        async with before(tmp_path, provider) as gate:
            gate.let_in("alice", Allowance(budget_day=2_000))
            async with streamed(gate, max_tokens=500) as lines:
                await first_of(lines, 1)
                asked = asyncio.create_task(post(gate, max_tokens=500))
                await until(lambda: PURSE in lines_in(gate.kit))
                asked.cancel()
                await until(lambda: PURSE not in lines_in(gate.kit))
            await over(gate)
            assert len(provider.requests) == 1
            provider.always = Fault()
            assert (await post(gate, max_tokens=500)).is_success

    async def test_many_at_once(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = HELD
        count = 50
        async with before(tmp_path, provider) as gate:

            async def leave() -> None:
                async with streamed(gate) as lines:
                    await first_of(lines, 3)
                    await provider.received(count)

            await asyncio.gather(*(leave() for _ in range(count)))
            await provider.abandoned(count)
            await over(gate, count)
            assert {(call.outcome, call.cost) for call in await calls_in(gate.kit)} == {("left", READ + CAME)}
            assert await spent_in(gate.kit, PURSE) == count * (READ + CAME)
            assert [value for _, name, value, _ in gate.told.figures if name == "llm.bytes_in_flight"][-1] == 0


class TestMemory:
    @pytest.mark.parametrize("content", ["off", "on"])
    async def test_what_a_stream_was_asked_is_counted_for_as_long_as_it_is_kept(
        self, tmp_path: Path, provider: FakeProvider, content: str
    ) -> None:
        provider.always = HELD
        async with before(tmp_path, provider, content=content) as gate:

            def in_flight() -> float:
                return [value for _, name, value, _ in gate.told.figures if name == "llm.bytes_in_flight"][-1]

            async with streamed(gate) as lines:
                await first_of(lines, 1)
                assert (in_flight() > 0) == (content == "on")
            await over(gate)
            assert in_flight() == 0


class TestTheServerStops:
    async def test_what_can_end_does_and_the_rest_is_ended(self, tmp_path: Path, provider: FakeProvider) -> None:
        count = 20
        async with before(tmp_path, provider) as gate, asyncio.TaskGroup() as tasks:
            provider.always = HELD
            held = [tasks.create_task(post(gate, stream=True)) for _ in range(count)]
            await provider.received(count)
            provider.always = Fault(chunk_seconds=0.05)
            ending = tasks.create_task(post(gate, stream=True))
            await provider.received(count + 1)
            began = asyncio.get_running_loop().time()
            gate.kit.drain()
            assert datas_of(await ending)[-1] == "[DONE]"
            for answer in [datas_of(await each) for each in held]:
                assert answer[-1]["error"]["message"] == "the server is shutting down"
                assert "[DONE]" not in answer
            assert LAST_SECONDS <= asyncio.get_running_loop().time() - began < SECONDS_TO_STOP
            await provider.abandoned(count)
            await over(gate, count + 1)
            calls = await calls_in(gate.kit)
            assert sorted(call.outcome for call in calls) == ["left"] * count + ["ok"]
            assert await spent_in(gate.kit, PURSE) == sum(call.cost for call in calls) == count * (READ + CAME) + 30
            late = await post(gate)
            assert (late.status_code, late.json()["error"]["code"]) == (503, "draining")


class TestKeysAreRevoked:
    async def test_its_streams_end_and_others_go_on(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = HELD
        granter = Granter({"*"}, {"llm:call"})
        wanted = Wanted("ada", "test", 90, ["llm:call"], llm=Allowance(budget_day=1_000_000))
        price = {"provider": "first", "model": "small", **PRICE}
        gateway = Gateway(models={"small": {"targets": [{"provider": "first"}]}}, prices=[price])
        kit = Kit(
            storage=storage_in(tmp_path),
            models={"first": asking(provider)},
            auth={"keys": HashedKeys()},
            lanes=[Lane("/api", auth=["keys"], serve=[gateway])],
        )
        async with serving(kit) as server:
            keys = Keys(kit.deployment.storage, "ak_")
            (lost, text), (_, kept) = [await keys.create(ORIGIN, wanted, granter) for _ in range(2)]
            gate = Gated(server, kit, Who(), Kept())
            async with asyncio.TaskGroup() as tasks:
                ends = tasks.create_task(post(gate, name=text, stream=True))
                lasts = tasks.create_task(post(gate, name=kept, stream=True))
                await provider.received(2)
                await keys.revoke(ORIGIN, None, lost.id)
                kit._vouched.changed()
                datas = datas_of(await ends)
                assert datas[-1]["error"]["message"] == "the credential was withdrawn"
                await provider.abandoned(1)
                provider.release()
                assert datas_of(await lasts)[-1] == "[DONE]"
            assert len(provider.left) == 1
            assert (await post(gate, name=text)).status_code == 401
            calls = {call.outcome: call for call in await calls_in(kit)}
            assert calls["left"].cost == await spent_in(kit, f"key:{lost.id}:day") == READ + CAME
            assert calls["ok"].cost == 30
            await assert_nothing_is_held(kit)
