"""What goes to a provider that speaks OpenAI's API, and what is made of its answers, sound or not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
import pytest_asyncio

from agentops import Secret
from agentops.core.ports.model import ModelFault, ModelLost, Order, Piece, Usage
from agentops.core.rungs import Rungs
from agentops.plugins.models.openai import OpenAI
from agentops.plugins.retry.backoff import Backoff
from agentops.testing.provider import FakeProvider, Fault
from tests.core.parts import until
from tests.models.orders import chat, order, pieces
from tests.outgoing.parts import answer_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

OURS: Final = "sk-ours-2f7b1c9e5d8a4c31"
THEIRS: Final = "sk-theirs-9d8a4c312f7b1c"
USED: Final = Usage(100, 7, cached=40)
JSON: Final = "Content-Type: application/json"
EVENTS: Final = "Content-Type: text/event-stream"


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(usage=USED) as provider:
        yield provider


@pytest_asyncio.fixture
async def model(provider: FakeProvider) -> AsyncIterator[OpenAI]:
    async with reaching(provider) as model:
        yield model


@asynccontextmanager
async def reaching(provider: FakeProvider, **settings: Any) -> AsyncGenerator[OpenAI]:
    model = OpenAI(base_url=provider.openai_url, key=OURS, **settings)
    async with model.life(Rungs()):
        yield model


def streaming(*events: object, done: bool = True) -> Fault:
    """A stream of events as they are given: objects, or bytes that stand for themselves."""
    data = [each if isinstance(each, bytes) else b"data: " + msgspec.json.encode(each) + b"\n\n" for each in events]
    return Fault(raw=answer_of(b"".join([*data, b"data: [DONE]\n\n" if done else b""]), EVENTS))


def saying(body: object) -> Fault:
    return Fault(raw=answer_of(body if isinstance(body, bytes) else msgspec.json.encode(body), JSON))


def chunk(text: str = "a", reason: str | None = None, **more: object) -> dict[str, object]:
    return {"object": "chat.completion.chunk", "choices": [choice(text, reason)], **more}


def choice(text: str = "a", reason: str | None = None, index: int = 0) -> dict[str, object]:
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}


def text_of(said: list[Piece]) -> str:
    return "".join(piece.text for piece in said)


USAGE_CHUNK: Final = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


class TestWhatIsSent:
    async def test_fields_go_on_as_they_came(self, provider: FakeProvider, model: OpenAI) -> None:
        raw = {"z": b"1.00", "messages": b'[ {"role":"user",  "content":"\\u00e9"} ]', "a": b"12345678901234567890123"}
        await model.answer(Order("chat", "gpt-4o", {name: msgspec.Raw(value) for name, value in raw.items()}))
        assert provider.requests[0].body == (
            b'{"model":"gpt-4o","z":1.00,"messages":[ {"role":"user",  "content":"\\u00e9"} ],'
            b'"a":12345678901234567890123}'
        )

    async def test_model_and_stream_are_not_the_callers_to_say(self, provider: FakeProvider, model: OpenAI) -> None:
        await model.answer(chat("hello", model="gpt-4o", stream=True))
        assert provider.requests[0].fields["model"] == "gpt-4o"
        assert "stream" not in provider.requests[0].fields

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            ({}, {"include_usage": True}),
            ({"stream_options": {"include_usage": False}}, {"include_usage": True}),
            ({"stream_options": {"x": 1}}, {"x": 1, "include_usage": True}),
            ({"stream_options": None}, {"include_usage": True}),
        ],
    )
    async def test_usage_is_asked_for(
        self, provider: FakeProvider, model: OpenAI, given: dict[str, Any], sent: dict[str, Any]
    ) -> None:
        said = await pieces(model, chat("hello", streamed=True, **given))
        assert provider.requests[0].fields["stream_options"] == sent
        assert said[-1] == Piece(usage=USED)

    async def test_usage_is_not_asked_of_who_does_not_know_how(self, provider: FakeProvider) -> None:
        async with reaching(provider, asks_usage=False) as model:
            said = await pieces(model, chat("hello", streamed=True))
        assert "stream_options" not in provider.requests[0].fields
        assert all(piece.usage is None for piece in said)

    async def test_the_callers_own_key_stands_in_for_ours(self, provider: FakeProvider, model: OpenAI) -> None:
        own = chat("hello")._replace(key=Secret(THEIRS), headers={"OpenAI-Organization": "theirs", "X-Other": "1"})
        await model.answer(own)
        await model.answer(own._replace(key=None))
        theirs, ours = (request.headers for request in provider.requests)
        assert theirs["authorization"] == f"Bearer {THEIRS}"
        assert theirs["openai-organization"] == "theirs"
        assert ours["authorization"] == f"Bearer {OURS}"
        assert "openai-organization" not in ours
        assert "x-other" not in theirs

    async def test_a_key_goes_where_the_provider_looks_for_it(self, provider: FakeProvider) -> None:
        async with reaching(provider, key_header="api-key") as model:
            await model.answer(chat("hello")._replace(key=Secret(THEIRS)))
        assert provider.requests[0].headers["api-key"] == THEIRS
        assert "authorization" not in provider.requests[0].headers

    async def test_a_key_that_is_a_header_more_is_not_sent(self, provider: FakeProvider, model: OpenAI) -> None:
        with pytest.raises(ModelFault) as refused:
            await model.answer(chat("hello")._replace(key=Secret("a\r\nX-Admin: 1")))
        assert refused.value.status == 400
        assert "X-Admin" not in refused.value.message
        assert provider.requests == []

    async def test_each_api_has_its_path(self, provider: FakeProvider, model: OpenAI) -> None:
        await model.answer(chat("hello"))
        await model.answer(order("embeddings", {"input": "hello"}))
        await model.answer(order("responses", {"input": "hello"}))
        assert [request.path for request in provider.requests] == [
            "/v1/chat/completions",
            "/v1/embeddings",
            "/v1/responses",
        ]


class TestAnswers:
    async def test_an_answer_is_handed_on_as_it_came(self, provider: FakeProvider, model: OpenAI) -> None:
        body = b'{ "choices": [{"index": 0}],  "usage": {"prompt_tokens": 1}, "odd": 1.00, "id": 18446744073709551616 }'
        provider.fail(saying(body))
        whole = await model.answer(chat("hello"))
        assert whole.body == body
        assert whole.usage == Usage(1, 0)

    async def test_usage_counts_what_was_cached(self, model: OpenAI) -> None:
        assert (await model.answer(chat("hello"))).usage == USED
        assert (await model.answer(order("responses", {"input": "hello"}))).usage == USED
        assert (await model.answer(order("embeddings", {"input": "hello"}))).usage == Usage(100, 0)

    @pytest.mark.parametrize(
        "usage",
        [None, {}, [], "many", {"prompt_tokens": -1}, {"prompt_tokens": 1.5}, {"prompt_tokens": True},
         {"prompt_tokens": 10**13}, {"completion_tokens": 5}],
    )  # fmt: skip
    async def test_usage_that_is_none_is_not_believed(
        self, provider: FakeProvider, model: OpenAI, usage: object
    ) -> None:
        provider.fail(saying({"choices": [{"index": 0}], "usage": usage}))
        assert (await model.answer(chat("hello"))).usage is None

    async def test_no_more_was_cached_than_read(self, provider: FakeProvider, model: OpenAI) -> None:
        said = {"prompt_tokens": 5, "completion_tokens": "x", "prompt_tokens_details": {"cached_tokens": 9}}
        provider.fail(saying({"choices": [{"index": 0}], "usage": said}))
        assert (await model.answer(chat("hello"))).usage == Usage(5, 0, cached=5)

    async def test_what_was_put_into_a_cache_is_counted(self, provider: FakeProvider, model: OpenAI) -> None:
        details = {"cached_tokens": 3, "cache_write_tokens": 4}
        said = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": details}
        provider.fail(saying({"choices": [{"index": 0}], "usage": said}))
        assert (await model.answer(chat("hello"))).usage == Usage(9, 1, cached=3, written=4)

    async def test_a_provider_says_nothing_in_our_name(self, provider: FakeProvider, model: OpenAI) -> None:
        forged = b'{"choices":[{"index":0}],"\\u005fmetadata":{"cost":0},"x":1.0}'
        provider.fail(saying(forged), streaming(b'data: {"choices":[],"_metadata":1,"x":1.0}\n\n', chunk("a", "stop")))
        assert (await model.answer(chat("hello"))).body == b'{"choices":[{"index":0}],"x":1.0}'
        said = await pieces(model, chat("hello", streamed=True))
        assert said[0].data == b'{"choices":[],"x":1.0}'

    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"[]", b'"a"', b"{", b'{"choices":[{"index":0}]} {}', b'{"choices":[{"index":0}],"a":"\xff"}',
         b"\xef\xbb\xbf{}", b'{"a":' * 100_000, b'{"a": NaN}', b"<html>", b"{}", b'{"choices":[]}',
         b'{"choices":null}', b'{"choices":{}}'],
        ids=lambda body: repr(body[:30]),
    )  # fmt: skip
    async def test_what_is_no_answer_is_not_one(self, provider: FakeProvider, model: OpenAI, body: bytes) -> None:
        provider.fail(saying(body))
        with pytest.raises(ModelLost):
            await model.answer(chat("hello"))

    @pytest.mark.parametrize("api", ["embeddings", "responses"])
    async def test_an_answer_without_what_was_asked_for_is_not_one(
        self, provider: FakeProvider, model: OpenAI, api: Any
    ) -> None:
        provider.fail(saying({"object": "list"}))
        with pytest.raises(ModelLost):
            await model.answer(order(api, {"input": "hello"}))


class TestErrors:
    @pytest.mark.parametrize("streamed", [False, True])
    async def test_a_refusal_is_handed_on_with_when_to_come_back(
        self, provider: FakeProvider, model: OpenAI, streamed: bool
    ) -> None:
        headers = {"retry-after-ms": "1500", "x-should-retry": "true", "x-secret": "1", "set-cookie": "a=b"}
        provider.fail(Fault(status=429, retry_after=2, headers=headers, message="Slow down."))
        with pytest.raises(ModelFault) as refused:
            await asking(model, streamed=streamed)
        fault = refused.value
        assert (fault.status, fault.message) == (429, "Slow down.")
        assert fault.headers == {"retry-after": "2", "retry-after-ms": "1500", "x-should-retry": "true"}
        assert msgspec.json.decode(fault.body)["error"]["type"] == "rate_limit_error"

    @pytest.mark.parametrize("body", [b"", b"<html>", b'{"detail": "no"}', b"x" * 100_000, b"\xff", b'{"error": 5}'])
    async def test_a_refusal_in_no_words_is_one_all_the_same(
        self, provider: FakeProvider, model: OpenAI, body: bytes
    ) -> None:
        provider.fail(Fault(raw=answer_of(body, status="503 Service Unavailable")))
        with pytest.raises(ModelFault) as refused:
            await model.answer(chat("hello"))
        assert (refused.value.status, refused.value.body) == (503, b"")
        assert refused.value.message == "the provider answered 503"

    async def test_a_redirect_is_a_refusal(self, provider: FakeProvider, model: OpenAI) -> None:
        provider.fail(Fault(raw=answer_of(b"", f"Location: {provider.url}/x", status="302 Found")))
        with pytest.raises(ModelFault) as refused:
            await model.answer(chat("hello"))
        assert refused.value.status == 302
        assert len(provider.requests) == 1

    @pytest.mark.parametrize("streamed", [False, True])
    @pytest.mark.parametrize("status", [400, 401, 500])
    async def test_no_key_is_told(self, provider: FakeProvider, model: OpenAI, status: int, streamed: bool) -> None:
        provider.always = Fault(status=status, message=f"Incorrect key: {OURS} or {THEIRS}; see sk-ours-****4c31.")
        for key in (None, Secret(THEIRS)):
            with pytest.raises(ModelFault) as refused:
                await asking(model, streamed=streamed, key=key)
            told = f"{refused.value!r} {refused.value.message} {refused.value.body!r}"
            assert OURS not in told
            assert THEIRS not in told or key is None
            assert refused.value.status == status

    async def test_what_the_provider_says_of_our_key_is_not_the_callers_to_read(
        self, provider: FakeProvider, model: OpenAI
    ) -> None:
        provider.key = "sk-another"
        with pytest.raises(ModelFault) as refused:
            await model.answer(chat("hello"))
        assert (refused.value.status, refused.value.body) == (401, b"")
        assert refused.value.message == "the provider did not accept the key of this deployment"

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            ({"message": "a", "code": 429}, 429),
            ({"message": "a", "code": "503"}, 503),
            ({"message": "a", "type": "rate_limit_error"}, 429),
            ({"message": "a", "type": "invalid_request_error", "code": "context_length_exceeded"}, 400),
            ({"message": "a", "code": 200}, 502),
            ({"message": "a"}, 502),
            ("a", 502),
        ],
    )
    async def test_an_error_in_place_of_an_answer_is_no_success(
        self, provider: FakeProvider, model: OpenAI, error: object, status: int
    ) -> None:
        for fault in (
            saying({"error": error}),
            saying({"choices": [{"index": 0, "error": error, "finish_reason": "error"}]}),
            streaming(chunk(), {"error": error}),
            streaming({"choices": [{"index": 0, "delta": {}, "error": error, "finish_reason": "error"}]}),
            Fault(raw=answer_of(msgspec.json.encode({"error": error}), JSON)),
        ):
            provider.fail(fault)
            streamed = b"event-stream" in (fault.raw or b"")
            with pytest.raises(ModelFault) as refused:
                await asking(model, streamed=streamed)
            assert not isinstance(refused.value, ModelLost)
            assert (refused.value.status, refused.value.message) == (status, "a")
            assert msgspec.json.decode(refused.value.body)["error"] in (error, {"message": "a"})

    async def test_an_error_where_a_stream_was_asked_for(self, provider: FakeProvider, model: OpenAI) -> None:
        provider.fail(saying({"error": {"message": "a", "code": 402}}), saying({"choices": [{"index": 0}]}))
        with pytest.raises(ModelFault) as refused:
            await asking(model, streamed=True)
        assert (refused.value.status, refused.value.message) == (402, "a")
        with pytest.raises(ModelLost, match="did not stream"):
            await asking(model, streamed=True)

    async def test_a_choice_that_ended_with_an_error_and_says_no_more(
        self, provider: FakeProvider, model: OpenAI
    ) -> None:
        provider.fail(streaming(chunk("", "error")), streaming(b"event: error\ndata: {}\n\n"))
        for _ in range(2):
            with pytest.raises(ModelFault) as refused:
                await asking(model, streamed=True)
            assert refused.value.status == 502

    async def test_a_retry_knows_what_to_try_again(self, provider: FakeProvider, model: OpenAI) -> None:
        retry = Backoff(base_seconds=0.001, most_seconds=0.01)
        async with retry.life(Rungs()):
            for faults in ([Fault(status=503), Fault(then="error")], [Fault(then="cut")]):
                provider.fail(*faults)
                await retry.call("chat", lambda: model.answer(chat("hello")))
            assert len(provider.requests) == 5
            provider.fail(Fault(status=400))
            with pytest.raises(ModelFault):
                await retry.call("chat", lambda: model.answer(chat("hello")))
            assert len(provider.requests) == 6


class TestStreams:
    async def test_events_are_handed_on_as_they_came(self, provider: FakeProvider, model: OpenAI) -> None:
        first = b'{ "choices": [{"index":0,"delta":{"content":"a"}}], "odd": 1.00 }'
        provider.fail(streaming(b"data: " + first + b"\n\n", chunk("b", "stop")))
        said = await pieces(model, chat("hello", streamed=True))
        assert said[0] == Piece(first, text="a")

    async def test_an_event_on_several_lines_is_put_on_one(self, provider: FakeProvider, model: OpenAI) -> None:
        lines = (
            b'data: {"choices":\r\ndata: [{"index":0,"delta":{"content":"a\\nb"},\rdata: "finish_reason":"stop"}]}\n\n'
        )
        provider.fail(streaming(b"\xef\xbb\xbf: hello\n\n", lines))
        (said,) = await pieces(model, chat("hello", streamed=True))
        assert said.data == b'{"choices":[{"index":0,"delta":{"content":"a\\nb"},"finish_reason":"stop"}]}'
        assert said.text == "a\nb"

    @pytest.mark.parametrize("size", [1, 2, 7])
    async def test_it_does_not_matter_where_chunks_end(self, provider: FakeProvider, model: OpenAI, size: int) -> None:
        body = b"".join(
            [b"data: ", msgspec.json.encode(chunk("żółw")), b"\r\n\r\ndata: ", msgspec.json.encode(chunk("!", "stop")),
             b"\r\r", b"data: [DONE]\n\n"]
        )  # fmt: skip
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        head = f"HTTP/1.1 200 OK\r\n{EVENTS}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        provider.fail(Fault(raw=head + chunks + b"0\r\n\r\n"))
        assert text_of(await pieces(model, chat("hello", streamed=True))) == "żółw!"

    async def test_all_that_is_written_is_text(self, provider: FakeProvider, model: OpenAI) -> None:
        deltas = [
            {"content": "a"},
            {"refusal": "b"},
            {"reasoning_content": "c"},
            {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "d"}}, {"index": 1}, None]},
            {"function_call": {"arguments": "e"}},
            {"content": None, "tool_calls": None},
            {"content": [{"type": "text"}]},
        ]
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        provider.fail(streaming(*chunks, chunk("f", "stop")))
        assert text_of(await pieces(model, chat("hello", streamed=True))) == "abcdef"

    @pytest.mark.parametrize(
        "odd",
        [{"choices": None}, {"choices": "a"}, {"choices": [None, 5]}, {"choices": [{"delta": 5, "index": []}]}, {}],
    )
    async def test_what_is_odd_but_an_object_goes_on(
        self, provider: FakeProvider, model: OpenAI, odd: dict[str, object]
    ) -> None:
        provider.fail(streaming(odd, chunk("a", "stop")))
        said = await pieces(model, chat("hello", streamed=True))
        assert msgspec.json.decode(said[0].data) == odd

    async def test_the_chunk_of_usage_is_for_who_asked(self, provider: FakeProvider, model: OpenAI) -> None:
        hidden = await pieces(model, chat("hello", streamed=True))
        shown = await pieces(model, chat("hello", streamed=True, stream_options={"include_usage": True}))
        assert hidden[-1] == Piece(usage=USED)
        assert msgspec.json.decode(shown[-1].data)["usage"]["prompt_tokens"] == USED.input
        assert shown[-1].usage == USED

    async def test_usage_beside_choices_is_shown_to_all(self, provider: FakeProvider, model: OpenAI) -> None:
        provider.fail(streaming(chunk("a", "stop", usage=USAGE_CHUNK["usage"])))
        (said,) = await pieces(model, chat("hello", streamed=True))
        assert said.usage == Usage(3, 2)
        assert said.data

    @pytest.mark.parametrize(
        ("events", "done", "is_whole"),
        [
            ([chunk("a", "stop"), USAGE_CHUNK], False, True),
            ([chunk("a", "stop")], False, True),
            ([chunk("a", "stop")], True, True),
            ([chunk("a")], True, True),
            ([chunk("a")], False, False),
            ([chunk("a"), USAGE_CHUNK], False, False),
            ([{"choices": [choice("a", "stop"), choice("b", index=1)]}, USAGE_CHUNK], False, False),
            ([{"choices": [choice("a", "stop"), choice("b", "stop", 1)]}, USAGE_CHUNK], False, True),
            ([], True, False),
            ([USAGE_CHUNK], True, False),
            ([], False, False),
            ([b"<html>"], False, False),
            ([b"data: <html>\n\n"], True, False),
            ([b"data: []\n\n"], True, False),
            ([b'data: {"id": "hal'], False, False),
            ([b'data: {"a": "\xff"}\n\n'], False, False),
        ],
    )
    async def test_when_a_stream_that_ends_is_whole(
        self, provider: FakeProvider, model: OpenAI, events: list[object], done: bool, is_whole: bool
    ) -> None:
        provider.fail(streaming(*events, done=done))
        if is_whole:
            await pieces(model, chat("hello", streamed=True))
        else:
            with pytest.raises(ModelLost):
                await pieces(model, chat("hello", streamed=True))

    async def test_a_stream_that_is_cut_is_whole_only_with_its_usage(
        self, provider: FakeProvider, model: OpenAI
    ) -> None:
        provider.fail(Fault(then="cut"), Fault(then="cut", no_usage=True))
        said = await pieces(model, chat("hello", streamed=True))
        assert said[-1].usage == USED
        with pytest.raises(ModelLost):
            await pieces(model, chat("hello", streamed=True))

    async def test_what_came_before_a_stream_was_cut_is_handed_on(self, provider: FakeProvider, model: OpenAI) -> None:
        provider.fail(Fault(then="cut", after=3))
        came: list[Piece] = []
        with pytest.raises(ModelLost):
            await collect(model, chat("hello", streamed=True), came)
        assert text_of(came) == "You asked:"

    async def test_a_stream_leaves_its_connection_to_the_next_call(self, provider: FakeProvider, model: OpenAI) -> None:
        """Also when the end of the message comes behind the last event, as it mostly does."""
        said = b"data: " + msgspec.json.encode(chunk("a", "stop")) + b"\n\ndata: [DONE]\n\n"
        head = f"HTTP/1.1 200 OK\r\n{EVENTS}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        provider.fail(Fault(raw=head + b"%x\r\n%b\r\n" % (len(said), said), raw_stays=True))
        await pieces(model, chat("hello", streamed=True))
        (line,) = provider._lines
        line.end_of_chunks()
        await until(lambda: model._upstream is not None and model._upstream.under_way == 0)
        await model.answer(chat("hello"))
        assert provider._lines == {line}

    async def test_the_word_of_end_is_the_end(self, provider: FakeProvider, model: OpenAI) -> None:
        provider.fail(streaming(chunk("a", "stop"), b"data: [DONE]\n\n", {"error": "late"}, chunk("b")))
        assert text_of(await pieces(model, chat("hello", streamed=True))) == "a"


class TestResponses:
    async def test_events_have_names_and_the_last_has_the_usage(self, model: OpenAI) -> None:
        said = await pieces(model, order("responses", {"input": "hello"}, streamed=True))
        assert said[0].event == "response.created"
        assert (said[-1].event, said[-1].usage) == ("response.completed", USED)
        assert text_of(said) == "You asked: hello"

    async def test_one_that_was_shortened_is_whole(self, model: OpenAI) -> None:
        said = await pieces(model, order("responses", {"input": "hello", "max_output_tokens": 2}, streamed=True))
        assert (said[-1].event, said[-1].usage) == ("response.incomplete", USED)

    @pytest.mark.parametrize("fault", [Fault(then="cut"), Fault(no_done=True), Fault(then="cut", after=2)])
    async def test_one_without_its_last_event_is_lost(
        self, provider: FakeProvider, model: OpenAI, fault: Fault
    ) -> None:
        provider.fail(fault)
        with pytest.raises(ModelLost):
            await pieces(model, order("responses", {"input": "hello"}, streamed=True))

    async def test_one_that_failed_has_cost_something_and_is_no_success(
        self, provider: FakeProvider, model: OpenAI
    ) -> None:
        failed = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "a"}}
        used = {"usage": {"input_tokens": 5, "output_tokens": 1}}
        provider.fail(streaming({"type": "response.failed", "response": {**failed, **used}}), saying(failed))
        came: list[Piece] = []
        with pytest.raises(ModelFault) as refused:
            await collect(model, order("responses", {"input": "hello"}, streamed=True), came)
        assert (refused.value.status, refused.value.message) == (429, "a")
        assert came == [Piece(usage=Usage(5, 1))]
        with pytest.raises(ModelFault) as refused:
            await model.answer(order("responses", {"input": "hello"}))
        assert (refused.value.status, refused.value.message) == (429, "a")

    async def test_an_event_of_an_error_is_one(self, provider: FakeProvider, model: OpenAI) -> None:
        provider.fail(streaming({"type": "error", "code": "server_error", "message": "a"}))
        with pytest.raises(ModelFault) as refused:
            await pieces(model, order("responses", {"input": "hello"}, streamed=True))
        assert (refused.value.status, refused.value.message) == (500, "a")


def test_settings_that_would_not_do_are_told() -> None:
    problems = list(OpenAI(base_url="ftp://x", speaks=[]).check())
    assert [problem.key for problem in problems] == ["base_url", "speaks"]
    assert list(OpenAI(key=OURS).check()) == []
    assert OURS not in repr(OpenAI(key=OURS).settings)


async def asking(model: OpenAI, *, streamed: bool, key: Secret | None = None) -> object:
    asked = chat("hello", streamed=streamed)._replace(key=key)
    return await pieces(model, asked) if streamed else await model.answer(asked)


async def collect(model: OpenAI, asked: Order, came: list[Piece]) -> None:
    """Into a list of the caller's, which has what came before it failed."""
    async for piece in model.stream(asked):
        came.append(piece)  # noqa: PERF401 - see above
