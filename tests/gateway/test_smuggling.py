"""What a hostile provider puts into its answers stays out of ours, and no caller chooses who is asked."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec
import pytest

from agentops import NoSettings
from agentops.core.ports.model import Model, Order, Piece, Usage, Whole
from agentops.plugins.models.anthropic import Anthropic
from agentops.testing.provider import FakeProvider, Fault
from tests.gateway.calling import BODIES, OUR_KEY, asking, assert_nothing_is_held, datas_of, post, text_in
from tests.gateway.gated import CHAT, gated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable
    from pathlib import Path

    from tests.gateway.gated import Gated

BUDGET = {"budget_day": 1_000_000}

OURS: Final = {
    "whole": {"content-type", "content-length", "date", "server", "x-request-id"},
    "streamed": {
        *("content-type", "transfer-encoding", "date", "server", "x-request-id"),
        *("cache-control", "x-accel-buffering"),
    },
}
HOSTILE_HEADERS: Final = {
    "Set-Cookie": "session=stolen",
    "X-Request-Id": "theirs",
    "Location": "https://evil.example",
    "Refresh": "0; url=https://evil.example",
    "Access-Control-Allow-Origin": "https://evil.example",
    "Server": "evil",
    "Retry-After": "9999",
    "X-Should-Retry": "true",
    "Cache-Control": "public, max-age=99999",
    "WWW-Authenticate": "Basic",
    "Trailer": "X-Evil",
    "Keep-Alive": "timeout=0",
    "X-Evil": "1",
}

CHUNK: Final = '{"id":"c","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s}]%s}'
END: Final = CHUNK % ("", '"stop"', ',"usage":{"prompt_tokens":2,"completion_tokens":1}')


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(reply="one two", usage=Usage(20, 10)) as made:
        yield made


@pytest.fixture
async def evil() -> AsyncIterator[FakeProvider]:
    """Somebody whom nobody is to ask."""
    async with FakeProvider(reply="stolen") as made:
        yield made
        assert made.requests == []
        assert made.connections == 0


@asynccontextmanager
async def before(folder: Path, model: Model[Any], **more: Any) -> AsyncIterator[Gated]:
    async with gated(folder, {"first": model}, each_key=BUDGET, **more) as gate:
        yield gate
        await assert_nothing_is_held(gate.kit)


def raw(media_type: str, body: bytes, head: str = "") -> Fault:
    return Fault(
        raw=f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


def events(*datas: str) -> Fault:
    return raw("text/event-stream", "".join(f"data: {data}\n\n" for data in datas).encode())


def assert_only_events(answer: httpx.Response) -> list[Any]:
    """Every line is one of an event, and each event is one JSON object under a name that is a word."""
    frame = r"(event: [ -~]+\n)?data: (\{.*\}|\[DONE\])\n\n"
    assert re.fullmatch(f"({frame})*", answer.text), answer.text
    datas = datas_of(answer)
    assert "[DONE]" not in datas[:-1]
    return datas


def fields_at_top(text: str) -> list[str]:
    """With those that are there twice."""
    pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
    return [name for name, _ in pairs]


class TestHeaders:
    async def test_none_of_theirs_is_handed_on(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = Fault(headers=HOSTILE_HEADERS)
        async with before(tmp_path, asking(provider)) as gate:
            for how, names in OURS.items():
                answer = await post(gate, stream=how == "streamed")
                assert answer.status_code == 200
                assert set(answer.headers) == names
                assert "evil" not in str(answer.headers)
                assert answer.headers["x-request-id"] != "theirs"
                assert answer.headers.get("cache-control", "no-cache, no-transform") == "no-cache, no-transform"

    async def test_of_a_refusal_only_when_to_come_back(self, tmp_path: Path, provider: FakeProvider) -> None:
        async with before(tmp_path, asking(provider)) as gate:
            for said, shown in {"9999": "9999", "1; url=evil": None, "9" * 200: None, "\xe9vil": None}.items():
                provider.always = Fault(status=429, headers={**HOSTILE_HEADERS, "Retry-After": said})
                answer = await post(gate)
                assert answer.status_code == 429
                assert set(answer.headers) - {"retry-after", "x-should-retry"} == OURS["whole"]
                assert answer.headers.get("retry-after") == shown
                assert "evil" not in str(answer.headers)

    async def test_the_type_is_ours_whatever_they_call_it(self, tmp_path: Path, provider: FakeProvider) -> None:
        body = (CHUNK % ("hi", '"stop"', "")).encode()
        async with before(tmp_path, asking(provider)) as gate:
            provider.fail(raw("text/html", body))
            assert (await post(gate)).headers["content-type"].startswith("application/json")
            provider.fail(raw("text/html", f"data: {END}\n\ndata: [DONE]\n\n".encode()))
            assert (await post(gate, stream=True)).headers["content-type"].startswith("text/event-stream")

    async def test_an_answer_behind_the_answer_is_not_that_of_the_next(
        self, tmp_path: Path, provider: FakeProvider
    ) -> None:
        stolen = raw("application/json", (CHUNK % ("stolen", '"stop"', "")).encode()).raw or b""
        async with before(tmp_path, asking(provider, connections=1)) as gate:
            for streamed in (False, True):
                first = events(END, "[DONE]") if streamed else raw("application/json", END.encode())
                provider.fail(Fault(raw=(first.raw or b"") + stolen, raw_stays=True))
                assert "stolen" not in (await post(gate, stream=streamed)).text
                assert "one two" in (await post(gate)).text


ANSWERS: Final = (
    '{"_metadata":{"cost_incurred":0},"choices":[{}]}',
    '{"choices":[{}],"_metadata":{"cost_incurred":0}}',
    '{"_metadata":1,"choices":[{}],"_metadata":2}',
    '{"\\u005fmetadata":{"cost_incurred":0},"choices":[{}]}',
    ' {"choices":[{}]} \n',
    '{"choices":[{}],"usage":{"prompt_tokens":1}}',
)


class TestMetadata:
    async def test_ours_is_the_only_one(self, tmp_path: Path, provider: FakeProvider) -> None:
        async with before(tmp_path, asking(provider)) as gate:
            for body in ANSWERS:
                provider.always = raw("application/json", body.encode())
                answer = await post(gate)
                assert fields_at_top(answer.text).count("_metadata") == 1
                assert answer.json()["_metadata"]["provider_used"] == "first"
                assert answer.json()["_metadata"]["cost_incurred"] > 0

    async def test_none_is_in_a_stream(self, tmp_path: Path, provider: FakeProvider) -> None:
        ours, escaped = '"_metadata":{"cost_incurred":0}', '"\\u005fmetadata":1'
        provider.always = events(f"{{{ours},{END[1:]}", f"{END[:-1]},{escaped}}}", "[DONE]")
        async with before(tmp_path, asking(provider)) as gate:
            answer = await post(gate, stream=True)
            assert "metadata" not in answer.text
            assert_only_events(answer)

    async def test_none_of_anthropics(self, tmp_path: Path, provider: FakeProvider) -> None:
        said = '{"type":"message_start","message":{"usage":{"input_tokens":1}},"_metadata":{"cost_incurred":0}}'
        whole = '{"type":"message","content":[{"type":"text","text":"hi"}],"_metadata":{"provider_used":"theirs"}}'
        why = '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}'
        stop = '{"type":"message_stop","_metadata":1}'
        async with before(tmp_path, Anthropic(base_url=provider.url, key="sk-ant-ours")) as gate:
            provider.fail(events(said, why, stop), raw("application/json", whole.encode()))
            streamed = await post(gate, "messages", stream=True)
            assert assert_only_events(streamed)[-1] == {"type": "message_stop"}
            assert "metadata" not in streamed.text
            answer = await post(gate, "messages")
            assert fields_at_top(answer.text).count("_metadata") == 1
            assert "theirs" not in answer.text


HOSTILE_STREAMS: Final = {
    "fields-and-comments": f": hello\nid: 7\nretry: 1\nevent: ping\nx-evil: 1\ndata: {END}\n\ndata: [DONE]\n\n",
    "carriage-returns": f"data: {END}\r\rdata: [DONE]\r\r",
    "both": f"\ufeffdata: {END}\r\n\r\ndata: [DONE]\r\n\r\n",
    "an-object-on-many-lines": "\n".join(f"data: {line}" for line in END.replace(",", ",\n").split("\n"))
    + "\n\ndata: [DONE]\n\n",
    "behind-done": f"data: {END}\n\ndata: [DONE]\n\ndata: {CHUNK % ('late', 'null', '')}\n\ndata: [DONE]\n\n",
    "separators-that-are-no-line-breaks": "data: "
    + (CHUNK % ("\u2028\u2029\u0085", '"stop"', ""))
    + f"\n\ndata: {END}\n\ndata: [DONE]\n\n",
    "line-breaks-as-text": "data: "
    + (CHUNK % ("\\n\\ndata: [DONE]\\n\\nevent: evil\\r\\n", '"stop"', ""))
    + f"\n\ndata: {END}\n\ndata: [DONE]\n\n",
}


NO_OBJECTS: Final = ("[DONE] and more", "null", "[]", '"text"', "1", "{", '{"a":1}{"b":2}', '{"a":NaN}', "{'a':1}")
NAMES: Final = (r"x\n\ndata: {\"choices\":\"evil\"}\n\n", r"x\rdata: evil", r"\u0000", r"\u2028", "é", "x y: z")
"""As they are written in JSON."""


class Careless(Model[NoSettings]):
    """Says something sound, and then one of these."""

    speaks = frozenset({"responses"})

    def __init__(self, strange: Iterable[Piece]) -> None:
        super().__init__()
        self._strange = iter(strange)

    async def answer(self, order: Order) -> Whole:
        raise NotImplementedError

    async def stream(self, order: Order) -> AsyncGenerator[Piece]:
        yield Piece(b"{}", "sound")
        yield next(self._strange)


class TestEvents:
    async def test_only_what_they_hold_is_handed_on(self, tmp_path: Path, provider: FakeProvider) -> None:
        async with before(tmp_path, asking(provider)) as gate:
            for stream in HOSTILE_STREAMS.values():
                provider.always = raw("text/event-stream", stream.encode())
                answer = await post(gate, stream=True)
                assert assert_only_events(answer)[-1] == "[DONE]"
                assert "late" not in answer.text
                assert not re.search(r"^(id|retry|event|x-evil|:)", answer.text, re.MULTILINE)

    async def test_what_is_no_object_ends_the_stream(self, tmp_path: Path, provider: FakeProvider) -> None:
        async with before(tmp_path, asking(provider)) as gate:
            for data in NO_OBJECTS:
                provider.always = events(CHUNK % ("one", "null", ""), data, END, "[DONE]")
                datas = assert_only_events(await post(gate, stream=True))
                assert text_in(datas[:-1]) == "one"
                assert datas[-1]["error"]["message"]

    async def test_a_name_of_an_event_is_a_name(self, tmp_path: Path, provider: FakeProvider) -> None:
        last = '{"type":"response.completed","response":{"usage":{"input_tokens":1}}}'
        async with before(tmp_path, asking(provider)) as gate:
            for name in NAMES:
                provider.always = events(f'{{"type":"{name}"}}', last)
                assert (
                    assert_only_events(await post(gate, "responses", stream=True))[-1]["type"] == "response.completed"
                )

    async def test_one_of_anthropics_too(self, tmp_path: Path, provider: FakeProvider) -> None:
        first = '{"type":"message_start","message":{}}'
        async with before(tmp_path, Anthropic(base_url=provider.url, key="sk-ant-ours")) as gate:
            for name in NAMES:
                provider.always = events(first, f'{{"type":"{name}"}}', '{"type":"message_stop"}')
                assert assert_only_events(await post(gate, "messages", stream=True))[-1]["type"] == "error"

    async def test_the_words_of_a_plugin_are_not_trusted_either(self, tmp_path: Path) -> None:
        """A model is a plugin, and whoever wrote it may have handed on what came."""

        strange = (Piece(b"{}\n\ndata: evil"), Piece(b"{}\revil: 1"), Piece(b"{}", "x\nevil: 1"), Piece(b"{}", "é"))
        async with before(tmp_path, Careless(strange)) as gate:
            for _ in strange:
                answer = await post(gate, "responses", stream=True)
                assert "evil" not in answer.text
                assert assert_only_events(answer)[0] == {}
                assert "event: error" in answer.text


class TestErrors:
    async def test_their_words_are_text(self, tmp_path: Path, provider: FakeProvider) -> None:
        words = f'<script>"\r\n\r\ndata: [DONE]\n\n\0 {OUR_KEY}' + "x" * 10_000
        async with before(tmp_path, asking(provider)) as gate:
            for after in (None, 0, 2):
                for fault in (Fault(status=400, message=words), Fault(then="error", after=after, message=words)):
                    provider.always = fault
                    answer = await post(gate, stream=after is not None)
                    if answer.is_success:
                        error = assert_only_events(answer)[-1]["error"]
                        assert "[DONE]" not in answer.text.replace("data: [DONE]\\n", "")
                    else:
                        error = answer.json()["error"]
                    assert error["message"].startswith("<script>")
                    assert len(error["message"]) <= 2_000
                    assert OUR_KEY not in answer.text

    async def test_what_is_no_error_of_theirs_is_none_of_ours(self, tmp_path: Path, provider: FakeProvider) -> None:
        said = {
            "error": {"message": {"a": 1}, "type": ["x"], "param": 7, "code": {"evil": 1}, "evil": "x"},
            "detail": "evil",
        }
        body = msgspec.json.encode(said)
        head = f"HTTP/1.1 400 Evil\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
        provider.always = Fault(raw=head.encode() + body)
        async with before(tmp_path, asking(provider)) as gate:
            answer = await post(gate)
            assert answer.status_code == 400
            assert "evil" not in answer.text.lower()
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

    async def test_a_strange_status_is_a_failure(self, tmp_path: Path, provider: FakeProvider) -> None:
        async with before(tmp_path, asking(provider)) as gate:
            for status in ("204 No Content", "205 Reset", "206 Part", "304 Not", "199 X", "600 X", "999 X"):
                provider.always = Fault(raw=f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
                for streamed in (False, True):
                    assert (await post(gate, stream=streamed)).status_code == 502


class TestWhoIsAsked:
    async def test_no_field_header_or_query_of_a_caller_says(
        self, tmp_path: Path, provider: FakeProvider, evil: FakeProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
            monkeypatch.setenv(name, evil.url)
            monkeypatch.setenv(name.lower(), evil.url)
        host = evil.url.removeprefix("http://")
        names = (
            "base_url",
            "api_base",
            "url",
            "endpoint",
            "provider",
            "proxy",
            "model_provider",
            "headers",
            "extra_body",
        )
        fields = dict.fromkeys(names, evil.openai_url) | {"api_key": "sk-of-the-caller"}
        headers = {
            "Authorization": "Bearer alice",
            "Host": host,
            "X-Forwarded-Host": host,
            "Forwarded": f"host={host}",
            "X-Base-Url": evil.openai_url,
            "OpenAI-Base-Url": evil.openai_url,
            "X-Original-Url": evil.openai_url,
            "Cookie": "session=1",
            "OpenAI-Organization": "org-of-the-caller",
        }
        body = {"model": "small", **BODIES["chat/completions"], **fields}
        url = f"{CHAT}?base_url={evil.openai_url}"
        async with (
            before(tmp_path, asking(provider)) as gate,
            httpx.AsyncClient(trust_env=False, verify=False) as client,
        ):
            answer = await client.post(gate.server.url + url, json=body, headers=headers)
            assert answer.status_code == 200
            (request,) = provider.requests
            assert request.path == "/v1/chat/completions"
            assert request.headers["host"] == provider.url.removeprefix("http://")
            assert request.headers["authorization"] == f"Bearer {OUR_KEY}"
            assert not {"cookie", "openai-organization", "x-base-url", "x-forwarded-host"} & set(request.headers)
            assert dict(request.fields) == body

    async def test_no_name_of_a_model_says(self, tmp_path: Path, provider: FakeProvider, evil: FakeProvider) -> None:
        host = evil.url.removeprefix("http://")
        async with before(tmp_path, asking(provider)) as gate:
            strange = ("../../small", "small\r\nHost: evil", "first/small", "first")
            for name in (evil.openai_url, f"small@{host}", f"//{host}/small", *strange):
                assert (await post(gate, model=name)).status_code == 404
            assert provider.requests == []

    async def test_no_redirect_says(self, tmp_path: Path, provider: FakeProvider, evil: FakeProvider) -> None:
        async with before(tmp_path, asking(provider)) as gate:
            for status in (301, 302, 303, 307, 308):
                provider.always = Fault(status=status, headers={"Location": f"{evil.openai_url}/chat/completions"})
                answer = await post(gate)
                assert answer.status_code == 502
                assert evil.url not in answer.text

    async def test_headers_of_the_api_are_handed_on_and_cannot_be_two(
        self, tmp_path: Path, provider: FakeProvider
    ) -> None:
        async with before(tmp_path, Anthropic(base_url=provider.url, key="sk-ant-ours")) as gate:
            body = {"model": "small", **BODIES["messages"]}
            headers = {"Authorization": "Bearer alice", "X-Api-Key": "sk-of-the-caller", "Anthropic-Beta": "one,two"}
            answer = await gate.server.client.post("/api/llm/messages", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            assert provider.requests[0].headers["anthropic-beta"] == "one,two"
            assert provider.requests[0].headers["x-api-key"] == "sk-ant-ours"
            wrong: dict[str, Any] = {**headers, "Anthropic-Beta": b"one\t\xe9"}
            strange = await gate.server.client.post("/api/llm/messages", json=body, headers=wrong)
            assert strange.status_code == 400
            assert len(provider.requests) == 1
