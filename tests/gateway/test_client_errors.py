"""What goes wrong is an exception of the client's own, and is tried again only where that may help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anthropic
import openai
import pytest
import pytest_asyncio

from agentops.core.allowance import Allowance
from agentops.testing.provider import Fault
from tests.gateway.fake import THEIR_KEY, before_anthropic, before_openai

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anthropic.types import MessageParam
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

    from tests.gateway.fake import Behind

HELLO: Final[list[ChatCompletionMessageParam]] = [{"role": "user", "content": "Hello there, who are you?"}]
MESSAGE: Final[list[MessageParam]] = [{"role": "user", "content": "Hello"}]


@pytest_asyncio.fixture
async def behind(tmp_path: Path) -> AsyncGenerator[Behind]:
    async with before_openai(tmp_path) as it:
        yield it


@pytest_asyncio.fixture
async def behind_anthropic(tmp_path: Path) -> AsyncGenerator[Behind]:
    async with before_anthropic(tmp_path) as it:
        yield it


async def chat(client: AsyncOpenAI, model: str = "small") -> ChatCompletion:
    return await client.chat.completions.create(model=model, messages=HELLO, max_completion_tokens=10)


async def test_who_is_not_known(behind: Behind) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        await chat(behind.gate.client("mallory"))
    assert refused.value.type == "authentication_error"
    assert refused.value.request_id
    assert "mallory" not in str(refused.value)


async def test_a_model_that_this_key_may_not_call(behind: Behind) -> None:
    behind.gate.let_in("bob", Allowance(models=("large",)))
    with pytest.raises(openai.PermissionDeniedError, match="large") as refused:
        await chat(behind.gate.client("bob"))
    assert (refused.value.code, refused.value.param) == ("model_not_allowed", "model")


async def test_a_model_that_is_not_there(behind: Behind) -> None:
    with pytest.raises(openai.NotFoundError, match="gpt-9") as refused:
        await chat(behind.gate.client(), model="gpt-9")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError) as refused:
        await behind.gate.client().models.retrieve("gpt-9")
    assert refused.value.code == "model_not_found"


async def test_what_is_not_served_here(behind: Behind) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        await behind.gate.client().files.list()
    assert refused.value.type == "not_found_error"


async def test_a_budget_that_is_used_up_is_not_tried_again(behind: Behind) -> None:
    behind.gate.let_in("bob", Allowance(budget_day=1))
    with pytest.raises(openai.RateLimitError, match="budget of this key for a day") as refused:
        await chat(behind.gate.client("bob", max_retries=3))
    assert refused.value.code == "insufficient_quota"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert behind.gate.served == 1
    assert behind.provider.requests == []


async def test_a_provider_that_is_busy_is_tried_again_by_the_client(behind: Behind) -> None:
    behind.provider.fail(Fault(status=429, headers={"retry-after-ms": "1"}))
    assert (await chat(behind.gate.client(max_retries=1))).choices
    assert (behind.gate.served, len(behind.provider.requests)) == (2, 2)


async def test_what_the_provider_says_of_a_request_is_handed_on(behind: Behind) -> None:
    behind.provider.fail(Fault(status=400, message="`top_p` is too high."))
    with pytest.raises(openai.BadRequestError, match="`top_p` is too high"):
        await chat(behind.gate.client())


@pytest.mark.parametrize("status", [401, 403])
async def test_what_the_provider_says_of_the_servers_key_is_not(behind: Behind, status: int) -> None:
    behind.provider.fail(Fault(status=status, message=f"Incorrect API key provided: {THEIR_KEY}"))
    with pytest.raises(openai.InternalServerError, match="refuses the key that this server has") as refused:
        await chat(behind.gate.client(max_retries=2))
    assert refused.value.status_code == 502
    assert THEIR_KEY not in refused.value.response.text
    assert behind.gate.served == 1


async def test_a_provider_that_fails(behind: Behind) -> None:
    for fault in (Fault(status=500), Fault(then="cut"), Fault(then="error"), Fault(then="broken-json")):
        behind.provider.fail(fault)
        with pytest.raises(openai.InternalServerError) as refused:
            await chat(behind.gate.client())
        assert refused.value.status_code == 502


@pytest.mark.parametrize("then", ["error", "choice-error", "cut", "garbage"])
async def test_a_stream_that_goes_wrong_never_looks_whole(behind: Behind, then: str) -> None:
    behind.provider.fail(Fault(then=then, after=3))  # type: ignore[arg-type]
    stream = await behind.gate.client().chat.completions.create(model="small", messages=HELLO, stream=True)
    texts: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            texts.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(openai.APIError) as raised:
        await read()
    assert "".join(texts).startswith("You asked:")
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["type"] == "server_error"


async def test_anthropics_client_has_exceptions_too(behind_anthropic: Behind) -> None:
    gate = behind_anthropic.gate.let_in("bob", Allowance(models=("large",))).let_in("poor", Allowance(budget_day=1))
    for name, model, kind, said in (
        ("mallory", "small", anthropic.AuthenticationError, "authentication_error"),
        ("bob", "small", anthropic.PermissionDeniedError, "permission_error"),
        ("alice", "claude-9", anthropic.NotFoundError, "not_found_error"),
        ("poor", "small", anthropic.RateLimitError, "rate_limit_error"),
    ):
        with pytest.raises(kind) as refused:
            await gate.anthropic_client(name).messages.create(model=model, max_tokens=10, messages=MESSAGE)
        assert refused.value.type == said
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["request_id"] == refused.value.response.headers["x-request-id"]


async def test_anthropics_own_errors_are_handed_on(behind_anthropic: Behind) -> None:
    behind_anthropic.provider.fail(Fault(status=529), Fault(status=400, message="`top_k` is too high."))
    client = behind_anthropic.gate.anthropic_client()
    with pytest.raises(anthropic.OverloadedError) as overloaded:
        await client.messages.create(model="small", max_tokens=10, messages=MESSAGE)
    assert overloaded.value.type == "overloaded_error"
    with pytest.raises(anthropic.BadRequestError, match="`top_k` is too high"):
        await client.messages.create(model="small", max_tokens=10, messages=MESSAGE)


@pytest.mark.parametrize("then", ["error", "cut"])
async def test_a_stream_of_messages_that_goes_wrong_never_looks_whole(behind_anthropic: Behind, then: str) -> None:
    behind_anthropic.provider.fail(Fault(then=then, after=4))  # type: ignore[arg-type]
    client = behind_anthropic.gate.anthropic_client()
    with pytest.raises(anthropic.APIError):
        async with client.messages.stream(model="small", max_tokens=100, messages=MESSAGE) as stream:
            await stream.get_final_message()
