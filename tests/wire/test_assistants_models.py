"""`config/assistants.toml`, `/llm/*`: models behind one key, tried again by the numbers that its clients know."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import openai
import pytest
import pytest_asyncio

from agentops.testing.provider import FakeProvider, Fault
from tests.core.parts import Kept, until
from tests.wire.deployed import Deployed, deployed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from openai.types.chat import ChatCompletionMessageParam

KEY: Final = "an assistant's key"
HEADER: Final = "X-Olumi-Assist-Key"
HELLO: Final[list[ChatCompletionMessageParam]] = [{"role": "user", "content": "Hello there, who are you?"}]
ANSWER: Final = "You asked: Hello there, who are you?"
LABELS: Final = {"adapter": "anthropic", "model": "draft", "operation": "chat"}


class Assistants(NamedTuple):
    """The deployment, the provider that stands for both of its own, and what was told."""

    up: Deployed
    provider: FakeProvider
    told: Kept

    @asynccontextmanager
    async def client(self, key: str | None = KEY) -> AsyncGenerator[openai.AsyncOpenAI]:
        async with openai.AsyncOpenAI(
            base_url=f"{self.up.server.url}{self.up.path}/llm",
            api_key="not used",
            default_headers={} if key is None else {HEADER: key},
            max_retries=0,
        ) as client:
            yield client


@pytest_asyncio.fixture
async def assistants(storage: dict[str, str]) -> AsyncGenerator[Assistants]:
    async with FakeProvider() as provider:
        environ = {
            "ASSIST_API_KEY": KEY,
            "ANTHROPIC_URL": provider.url,
            "ANTHROPIC_API_KEY": "sk-of-anthropic",
            "OPENAI_URL": provider.openai_url,
            "OPENAI_API_KEY": "sk-of-openai",
        }
        async with deployed("assistants", ["telemetry.kept.use=tests.core.parts:Kept"], storage | environ) as up:
            told = up.deployment.telemetry["kept"]
            assert isinstance(told, Kept)
            yield Assistants(up, provider, told)


async def test_a_draft_is_answered(assistants: Assistants) -> None:
    async with assistants.client() as client:
        answer = await client.chat.completions.create(model="draft", messages=HELLO)
        echo = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in echo])
    assert (answer.choices[0].message.content, text) == (ANSWER, HELLO[0].get("content"))
    assert [request.path for request in assistants.provider.requests] == ["/v1/messages"]


async def test_a_call_is_made_three_times_at_growing_intervals(assistants: Assistants) -> None:
    assistants.provider.fail(Fault(status=503), Fault(status=504))
    async with assistants.client() as client:
        assert (await client.chat.completions.create(model="draft", messages=HELLO)).choices
    assert len(assistants.provider.requests) == 3
    first, second = assistants.told.named("assist.llm.retry")
    assert 200 <= int(str(first["delay_ms"])) <= 300
    assert 400 <= int(str(second["delay_ms"])) <= 600
    assert first.items() >= LABELS.items()
    (success,) = assistants.told.named("assist.llm.retry_success")
    assert success.items() >= LABELS.items()
    delays = [labels for kind, name, _, labels in assistants.told.figures if name == "llm.retry.delay_ms"]
    assert delays == [LABELS, LABELS]


async def test_the_other_provider_is_asked_when_the_first_is_exhausted(assistants: Assistants) -> None:
    assistants.provider.fail(Fault(then="cut"), Fault(status=429), Fault(status=408))
    async with assistants.client() as client:
        assert (await client.chat.completions.create(model="draft", messages=HELLO)).choices
    paths = [request.path for request in assistants.provider.requests]
    assert paths == ["/v1/messages"] * 3 + ["/v1/chat/completions"]
    (exhausted,) = assistants.told.named("assist.llm.retry_exhausted")
    assert exhausted.items() >= LABELS.items()
    assert ("count", "llm.retry_exhausted", 1, LABELS) in assistants.told.figures


async def test_what_is_wrong_with_a_request_is_told_at_once(assistants: Assistants) -> None:
    assistants.provider.fail(Fault(status=400, message="`top_p` is too high."))
    async with assistants.client() as client:
        with pytest.raises(openai.BadRequestError, match="`top_p` is too high"):
            await client.chat.completions.create(model="draft", messages=HELLO)
    assert len(assistants.provider.requests) == 1


async def test_a_client_that_leaves_a_draft_is_told_of(assistants: Assistants) -> None:
    assistants.provider.fail(Fault(then="hold", after=4))
    async with assistants.client() as client:
        stream = await client.chat.completions.create(model="draft", messages=HELLO, stream=True)
        assert (await anext(aiter(stream))).choices
        await stream.close()
    await assistants.provider.abandoned(1)
    await until(lambda: assistants.told.named("assist.draft.sse_client_closed"))


@pytest.mark.parametrize(
    ("key", "kind"),
    [(None, openai.AuthenticationError), ("wrong", openai.PermissionDeniedError)],
    ids=["missing", "wrong"],
)
async def test_who_is_not_let_in_is_told_so_in_openais_words(
    assistants: Assistants, key: str | None, kind: type[openai.APIStatusError]
) -> None:
    async with assistants.client(key) as client:
        with pytest.raises(kind):
            await client.chat.completions.create(model="draft", messages=HELLO)
    beside = await assistants.up.api.get("/nothing", headers={} if key is None else {HEADER: key})
    assert beside.json()["schema"] == "error.v1"
