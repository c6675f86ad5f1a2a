"""A gateway in front of a fake provider."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from agentops.core.ports.model import Usage
from agentops.plugins.models.anthropic import Anthropic
from agentops.plugins.models.openai import OpenAI
from agentops.testing.provider import FakeProvider
from tests.gateway.gated import Gated, gated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageFunctionToolCall

    from agentops.core.ports.model import Model

USED: Final = Usage(input=40, output=7, cached=16)
THEIR_MODEL: Final = "fake-large"
THEIR_KEY: Final = "sk-of-the-server"
_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Behind(NamedTuple):
    """The gateway, and who is asked by it."""

    gate: Gated
    provider: FakeProvider


@asynccontextmanager
async def before_openai(folder: Path, **settings: Any) -> AsyncGenerator[Behind]:
    """`small` is a model of whoever speaks OpenAI's API."""
    async with FakeProvider(key=THEIR_KEY, usage=USED) as provider:
        model = OpenAI(base_url=provider.openai_url, key=THEIR_KEY)
        async with _before(folder, provider, model, settings) as behind:
            yield behind


@asynccontextmanager
async def before_anthropic(folder: Path, **settings: Any) -> AsyncGenerator[Behind]:
    """`small` is a model of Anthropic's."""
    async with FakeProvider(key=THEIR_KEY, usage=USED) as provider:
        model = Anthropic(base_url=provider.url, key=THEIR_KEY)
        async with _before(folder, provider, model, settings) as behind:
            yield behind


@asynccontextmanager
async def _before(
    folder: Path, provider: FakeProvider, model: Model[Any], settings: dict[str, Any]
) -> AsyncGenerator[Behind]:
    targets = [{"provider": "fake", "model": THEIR_MODEL}]
    async with gated(folder, {"fake": model}, targets=targets, **settings) as gate:
        yield Behind(gate, provider)


def tool_called(message: ChatCompletionMessage) -> ChatCompletionMessageFunctionToolCall:
    """The one function that is to be called."""
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    return call


def fields_of(body: bytes) -> Mapping[str, bytes]:
    """The fields of a body in their order, byte by byte as they were sent, but for the model's name."""
    return {name: bytes(raw) for name, raw in _raw.decode(body).items() if name != "model"}
