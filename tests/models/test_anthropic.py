"""Anthropic asked over the wire: what is sent, what is made of each answer, and what of it is nobody's to read."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agentops.core.ports.model import ModelFault, ModelLost, Usage
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.models.anthropic import Anthropic
from agentops.testing.provider import FakeProvider, Fault
from tests.models.orders import chat, order, pieces
from tests.models.test_anthropic_answer import CONTENT, EVENTS, IN_CHAT, USED, body
from tests.webhooks.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentops.core.ports.model import Api, Order
    from tests.webhooks.receiver import Receiver

KEY = "sk-ant-api03-0123456789"
LIMITED = {"type": "error", "error": {"type": "rate_limit_error", "message": f"too many for {KEY}"}, "request_id": "r"}


@asynccontextmanager
async def provider(*answers: bytes, **settings: Any) -> AsyncIterator[tuple[Anthropic, Receiver]]:
    async with receiving() as receiver:
        receiver.answers += answers
        model = Anthropic(base_url=f"http://127.0.0.1:{receiver.port}/", key=KEY, **settings)
        assert list(model.check()) == []
        async with model.life(Rungs()):
            yield model, receiver


@asynccontextmanager
async def asking(fake: FakeProvider) -> AsyncIterator[Anthropic]:
    model = Anthropic(base_url=fake.url, key=KEY)
    async with model.life(Rungs()):
        yield model


def said(content: bytes, status: int = 200, kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} So\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n{more}\r\n"
    return head.encode() + content


def streamed(events: list[dict[str, Any]], *, is_cut: bool = False) -> bytes:
    lines = b"".join(b"event: %s\ndata: %s\n\n" % (one["type"].encode(), msgspec.json.encode(one)) for one in events)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(lines) + is_cut}\r\n\r\n"
    return head.encode() + lines


def native(**fields: Any) -> Order:
    return order("messages", {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], **fields})


async def test_a_chat_without_a_bound_has_that_of_its_model() -> None:
    async with provider(said(body(CONTENT)), max_tokens=77) as (model, receiver):
        await model.answer(chat("Hi")._replace(most_output=33))
    (got,) = receiver.received
    assert got.json["max_tokens"] == 33


async def test_a_chat_is_asked_in_their_words_and_answered_in_ours() -> None:
    async with provider(said(body(CONTENT)), max_tokens=77) as (model, receiver):
        whole = await model.answer(chat("Hi"))
    (got,) = receiver.received
    assert got.path == "/v1/messages"
    assert got.json["max_tokens"] == 77
    assert got.json["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert got.headers["x-api-key"] == KEY
    assert got.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in got.headers
    assert msgspec.json.decode(whole.body)["usage"] == IN_CHAT
    assert whole.usage == USED


async def test_their_own_api_is_asked_and_answered_untouched() -> None:
    async with provider(said(body(CONTENT))) as (model, receiver):
        whole = await model.answer(native(top_k=3))
    assert receiver.received[0].json == {
        "model": "some-model",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hi"}],
        "top_k": 3,
    }
    assert whole.body == body(CONTENT)
    assert whole.usage == USED


@pytest.mark.parametrize("api", ["chat", "messages"])
async def test_what_is_asked_is_what_the_order_says(api: Api) -> None:
    other = {"model": "dearer", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    async with provider(said(body(CONTENT))) as (model, receiver):
        await model.answer(order(api, other))
    assert receiver.received[0].json["model"] == "some-model"
    assert "stream" not in receiver.received[0].json


@pytest.mark.parametrize("api", ["chat", "messages"])
async def test_a_key_of_the_callers_own_stands_in(api: Api) -> None:
    asked = (chat("Hi") if api == "chat" else native())._replace(
        key=Secret("sk-mine-1"),
        headers={"Anthropic-Beta": "b1", "anthropic-version": "2024-01-01", "x-api-key": "sk-other", "cookie": "c"},
    )
    async with provider(said(body(CONTENT))) as (model, receiver):
        await model.answer(asked)
    headers = receiver.received[0].headers
    assert headers["x-api-key"] == "sk-mine-1"
    assert headers["anthropic-beta"] == "b1"
    assert headers["anthropic-version"] == ("2024-01-01" if api == "messages" else "2023-06-01")
    assert "cookie" not in headers


async def test_a_chat_is_streamed() -> None:
    async with provider(streamed(EVENTS)) as (model, receiver):
        found = await pieces(model, chat("Hi", stream_options={"include_usage": True}))
    assert receiver.received[0].json["stream"] is True
    assert msgspec.json.decode(found[-1].data)["usage"] == IN_CHAT
    assert found[-1].usage == USED
    assert "".join(piece.text for piece in found) == 'Hm.I look.{"city":"Łódź"}{}'


async def test_their_own_stream_is_handed_through() -> None:
    async with provider(streamed(EVENTS)) as (model, _):
        found = await pieces(model, native())
    assert [msgspec.json.decode(piece.data) for piece in found] == EVENTS


@pytest.mark.parametrize("api", ["chat", "messages"])
@pytest.mark.parametrize("is_cut", [True, False])
async def test_a_stream_that_ends_too_early_is_lost(api: Api, is_cut: bool) -> None:
    async with provider(streamed(EVENTS[:-2], is_cut=is_cut)) as (model, _):
        stream = model.stream(chat("Hi") if api == "chat" else native())
        with pytest.raises(ModelLost):
            [piece async for piece in stream]


@pytest.mark.parametrize("api", ["chat", "messages"])
@pytest.mark.parametrize("is_cut", [True, False])
async def test_a_stream_is_whole_when_only_its_last_word_is_missing(api: Api, is_cut: bool) -> None:
    async with provider(streamed(EVENTS[:-1], is_cut=is_cut)) as (model, _):
        found = await pieces(model, chat("Hi") if api == "chat" else native())
    assert [piece.usage for piece in found if piece.usage][-1] == USED
    assert found[-1].event == ("message_stop" if api == "messages" else "")


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    ("api", "wanted"),
    [
        (
            "chat",
            {
                "error": {
                    "message": "too many for ********",
                    "type": "rate_limit_error",
                    "param": None,
                    "code": "rate_limit_error",
                }
            },
        ),
        ("messages", {**LIMITED, "error": {"type": "rate_limit_error", "message": "too many for ********"}}),
    ],
)
async def test_a_refusal_is_in_the_words_of_the_caller(api: Api, wanted: dict[str, Any], streams: bool) -> None:
    asked = chat("Hi") if api == "chat" else native()
    answer = said(msgspec.json.encode(LIMITED), 429, more="retry-after: 7\r\nset-cookie: a\r\n")
    async with provider(answer) as (model, _):
        with pytest.raises(ModelFault) as fault:
            await (pieces(model, asked) if streams else model.answer(asked))
    assert fault.value.status == 429
    assert fault.value.headers == {"retry-after": "7"}
    assert msgspec.json.decode(fault.value.body) == wanted
    assert KEY not in fault.value.message


async def test_who_is_overloaded_may_be_asked_again() -> None:
    async with provider(said(b"<html>", 529, "text/html")) as (model, _):
        with pytest.raises(ModelFault) as fault:
            await model.answer(chat("Hi"))
    assert (fault.value.status, fault.value.headers, fault.value.body) == (529, {"x-should-retry": "true"}, b"")


@pytest.mark.parametrize("api", ["chat", "messages"])
async def test_an_error_in_a_stream_is_one(api: Api) -> None:
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    async with provider(streamed([*EVENTS[:9], busy]), said(msgspec.json.encode(busy))) as (model, _):
        for _ in range(2):
            with pytest.raises(ModelFault, match="Busy") as fault:
                await pieces(model, chat("Hi") if api == "chat" else native())
            assert fault.value.status == 529
            assert not isinstance(fault.value, ModelLost)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("content", [b"{}", b"[]", b"hello", b'{"content":[],"id":"\xff"}'])
async def test_what_is_no_message_is_no_success(content: bytes, streams: bool) -> None:
    async with provider(said(content)) as (model, _):
        with pytest.raises(ModelLost):
            await (pieces(model, chat("Hi")) if streams else model.answer(chat("Hi")))


async def test_what_was_not_asked_to_stream_is_not_taken_for_a_stream() -> None:
    async with provider(said(body(CONTENT))) as (model, _):
        with pytest.raises(ModelLost, match="did not stream"):
            await pieces(model, chat("Hi"))


async def test_what_cannot_be_said_is_not_asked() -> None:
    async with provider() as (model, receiver):
        for asked in (chat("Hi", n=2), order("embeddings", {"input": "x"})):
            with pytest.raises(ModelFault) as fault:
                await model.answer(asked)
            assert fault.value.status == 400
    assert receiver.received == []


async def test_what_a_provider_says_in_our_name_is_left_out() -> None:
    async with provider(said(body([], _metadata={"cost": 0}))) as (model, _):
        whole = await model.answer(native())
    assert whole.body == body([])
    assert whole.usage == Usage(100, 7, 60, 30)


async def test_markers_are_added_when_the_file_says_so() -> None:
    async with provider(said(body(CONTENT)), cache=True) as (model, receiver):
        await model.answer(chat("Hi"))
    assert receiver.received[0].json["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


async def test_a_tool_is_called_and_its_answer_taken() -> None:
    async with FakeProvider(key=KEY) as fake, asking(fake) as model:
        asked = chat("weather?", tools=[TOOL])
        called = msgspec.json.decode((await model.answer(asked)).body)["choices"][0]
        result = {"role": "tool", "tool_call_id": called["message"]["tool_calls"][0]["id"], "content": "sunny"}
        turns = [{"role": "user", "content": "weather?"}, called["message"], result]
        found = await pieces(model, order("chat", {"messages": turns, "tools": [TOOL]}))
    assert called["finish_reason"] == "tool_calls"
    assert msgspec.json.decode(found[-2].data)["choices"][0]["finish_reason"] == "stop"


async def test_whoever_leaves_a_stream_leaves_the_provider() -> None:
    async with FakeProvider(key=KEY) as fake, asking(fake) as model:
        fake.fail(Fault(then="hold", after=4))
        stream = model.stream(chat("Hello"))
        assert b"assistant" in (await anext(stream)).data
        await stream.aclose()
        await fake.abandoned(1)


@pytest.mark.parametrize("api", ["chat", "messages"])
async def test_one_connection_serves_one_stream_behind_another(api: Api) -> None:
    async with FakeProvider(key=KEY) as fake, asking(fake) as model:
        for _ in range(3):
            await pieces(model, chat("Hi") if api == "chat" else native())
        assert fake.connections == 1
