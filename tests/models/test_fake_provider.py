"""What authors of applications are promised of the fake provider."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
import pytest_asyncio

from agentops.core.ports.model import Usage
from agentops.testing.provider import FIELD, FakeProvider, Fault
from agentops.testing.server import client_of
from tests.core.parts import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ASKED: Final = {"model": "fake-large", "messages": [{"role": "user", "content": "one two three"}], "max_tokens": 50}
PATHS: Final = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
SAID_OF_USAGE: Final[dict[str, dict[str, object]]] = {
    PATHS[0]: {"prompt_tokens": 1000, "completion_tokens": 50},
    PATHS[1]: {"input_tokens": 600, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 100},
    PATHS[2]: {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 300}},
}


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest_asyncio.fixture
async def client(provider: FakeProvider) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(provider.url) as client:
        yield client


async def ask(client: httpx.AsyncClient, path: str = PATHS[0], **more: object) -> httpx.Response:
    return await client.post(path, json={**ASKED, "input": "one two three", **more})


async def test_the_same_question_has_the_same_answer(client: httpx.AsyncClient) -> None:
    first, second = [(await ask(client)).json() for _ in range(2)]
    assert first["choices"] == second["choices"]
    assert first["usage"] == second["usage"]
    assert first["id"] != second["id"]


@pytest.mark.parametrize("path", PATHS)
async def test_usage_and_reply_are_as_told(provider: FakeProvider, client: httpx.AsyncClient, path: str) -> None:
    provider.reply, provider.usage = "as told", Usage(1000, 50, cached=300, written=100)
    told = await ask(client, path)
    assert "as told" in told.text
    assert SAID_OF_USAGE[path].items() <= told.json()["usage"].items()


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_says_what_an_answer_says(client: httpx.AsyncClient, path: str) -> None:
    streamed = await ask(client, path, stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert '" two"' in streamed.text or '" two' in streamed.text
    assert (await ask(client, path)).headers["content-type"] == "application/json"


async def test_a_fault_is_of_one_request_and_in_turn(provider: FakeProvider, client: httpx.AsyncClient) -> None:
    provider.fail(Fault(status=429, retry_after=2), Fault(status=529))
    answers = [await ask(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 529, 200]
    assert answers[0].headers["retry-after"] == "2"
    assert answers[0].json()["error"]["type"] == "rate_limit_error"


async def test_a_fault_may_be_of_a_model_of_a_request_or_of_all(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.of_model["fake-small"] = Fault(status=404)
    provider.always = Fault(status=500)
    said = [
        await ask(client),
        await ask(client, model="fake-small"),
        await client.post(PATHS[0], json={**ASKED, FIELD: {"status": 403}}),
        await client.post(PATHS[0], json={**ASKED, FIELD: {}}),
    ]
    assert [answer.status_code for answer in said] == [500, 404, 403, 200]


async def test_errors_are_in_the_words_of_who_is_asked(provider: FakeProvider, client: httpx.AsyncClient) -> None:
    provider.always = Fault(status=529)
    assert (await ask(client, "/v1/messages")).json() == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "The provider is unwell."},
    }


async def test_a_wrong_key_a_wrong_path_and_a_wrong_body(provider: FakeProvider, client: httpx.AsyncClient) -> None:
    provider.key = "sk-right"
    assert (await ask(client)).status_code == 401
    client.headers["authorization"] = "Bearer sk-right"
    assert (await ask(client)).status_code == 200
    assert (await ask(client, "/v1/nothing")).status_code == 404
    assert (await client.post(PATHS[0], content=b"[]")).status_code == 400
    assert [model["id"] for model in (await client.get("/v1/models")).json()["data"]] == ["fake-large", "fake-small"]


async def test_who_came_is_kept_and_who_left_is_known(provider: FakeProvider, client: httpx.AsyncClient) -> None:
    provider.fail(Fault(then="hold", after=1))
    async with client.stream("POST", PATHS[0], json={**ASKED, "stream": True}) as stream:
        await provider.received(1)
        assert await anext(stream.aiter_bytes())
        assert (provider.under_way, provider.left) == (1, [])
    await provider.abandoned(1)
    await provider.idle()
    assert provider.left == provider.requests
    assert provider.requests[0].fields["model"] == "fake-large"
    assert provider.answered == 0


async def test_what_is_held_goes_on_when_it_is_let(provider: FakeProvider, client: httpx.AsyncClient) -> None:
    provider.fail(Fault(then="hold"), Fault(then="hold", after=3))
    asking = [asyncio.create_task(ask(client, stream=streamed)) for streamed in (False, True)]
    await provider.received(2)
    assert not any(task.done() for task in asking)
    provider.release()
    assert [(await task).status_code for task in asking] == [200, 200]


async def test_what_never_happens_is_told(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentops.testing.provider.server.PATIENCE", 0.01)
    with pytest.raises(TimeoutError):
        await provider.received(1)


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        (Fault(then="cut", after=1), True),
        (Fault(then="cut"), True),
        (Fault(raw=b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n"), True),
        (Fault(raw=b"garbage"), True),
        (Fault(then="garbage", after=1), False),
        (Fault(then="broken-json", after=1), False),
        (Fault(then="error", after=1), False),
        (Fault(no_done=True), False),
    ],
)
async def test_streams_break_as_told(
    provider: FakeProvider, client: httpx.AsyncClient, fault: Fault, broken: bool
) -> None:
    provider.fail(fault)
    if broken:
        with pytest.raises(httpx.HTTPError):
            await ask(client, stream=True)
    else:
        told = await ask(client, stream=True)
        assert ("[DONE]" in told.text) == (fault.then == "broken-json")


async def test_tools_choices_and_shapes(client: httpx.AsyncClient) -> None:
    tools: list[Any] = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    called = (await ask(client, tools=tools)).json()["choices"][0]
    assert called["message"]["tool_calls"][0]["function"]["name"] == "look_up"
    assert called["finish_reason"] == "tool_calls"
    several = (await ask(client, n=3, logprobs=True)).json()["choices"]
    assert [choice["index"] for choice in several] == [0, 1, 2]
    assert several[0]["logprobs"]["content"][0]["token"] == "You"
    short = (await ask(client, max_tokens=2)).json()["choices"][0]
    assert (short["message"]["content"], short["finish_reason"]) == ("You asked:", "length")


async def test_at_the_command_line_it_says_where_it_is_and_stops_when_told() -> None:
    command = (sys.executable, "-m", "agentops.testing.provider", "--usage", "7", "3")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with client_of(url) as client:
            assert (await ask(client)).json()["usage"]["total_tokens"] == 10
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_leaves_nothing_open(provider: FakeProvider, client: httpx.AsyncClient) -> None:
    await ask(client)
    assert provider.connections == 1
    await client.aclose()
    await until(lambda: provider.connections == 0)
