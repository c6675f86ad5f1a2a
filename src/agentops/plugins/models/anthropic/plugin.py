"""Asks Anthropic, in its own words or translated from chat completions and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from agentops.core.ports.model import Api, Model, ModelFault, ModelLost, Order, Piece, Whole
from agentops.outgoing import Events, Upstream, is_refusal, json_object, refusal, wrong_settings
from agentops.plugins.models.anthropic._answer import as_chat_completion, message
from agentops.plugins.models.anthropic._chunks import Chunks
from agentops.plugins.models.anthropic._faults import in_words_of
from agentops.plugins.models.anthropic._native import Relayed, as_answered, as_asked
from agentops.plugins.models.anthropic._request import chat_as_messages, shows_usage
from agentops.plugins.models.anthropic.settings import AnthropicSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractAsyncContextManager

    from agentops.core.problem import Problem
    from agentops.core.rungs import Rungs
    from agentops.outgoing import Call, Exchange
    from agentops.plugins.models.anthropic._events import Progress

_PATH: Final = "/v1/messages"
_NOT_SPOKEN: Final = 400
_VERSION: Final = "2023-06-01"
_OF_THE_API: Final = {"chat": ("anthropic-beta",), "messages": ("anthropic-beta", "anthropic-version")}
"""What is said of another version is not what the translation says."""


class Anthropic(Model[AnthropicSettings]):
    """`use = "anthropic"`."""

    speaks: frozenset[Api] = frozenset({"chat", "messages"})

    def __init__(self, settings: AnthropicSettings | None = None, /, **values: Any) -> None:
        super().__init__(settings, **values)
        self._upstream: Upstream | None = None

    @override
    def check(self) -> Iterable[Problem]:
        return wrong_settings(self.settings)

    @override
    def life(self, rungs: Rungs) -> AbstractAsyncContextManager[object]:
        self._upstream = Upstream(self.settings)
        return self._upstream.life()

    @override
    async def answer(self, order: Order) -> Whole:
        async with self._post(order._replace(streamed=False)) as answer:
            await self._refuse(answer, order)
            fields, body = json_object(await answer.whole(self.settings.answer_bytes))
        found = message(fields, body, order.api, self._secrets(order))
        if order.api == "chat":
            return as_chat_completion(found, order.model, int(time.time()))
        return as_answered(found, body)

    @override
    async def stream(self, order: Order) -> AsyncGenerator[Piece]:
        secrets = self._secrets(order)
        reading: Relayed | Chunks = Relayed(secrets)
        if order.api == "chat":
            reading = Chunks(order.model, int(time.time()), secrets, shows_usage=shows_usage(order))
        async with self._post(order._replace(streamed=True)) as answer:
            await self._refuse(answer, order)
            await self._refuse_unstreamed(answer, order)
            events = Events()
            while not reading.is_over and (some := await _next(answer, reading)):
                for event in events.feed(some):
                    for piece in reading.take(event):
                        yield piece
                    if reading.is_over:
                        break
            for piece in reading.rest():
                yield piece
            answer.leave_at_end()

    def _post(self, order: Order) -> Call:
        if order.api not in self.speaks:
            raise ModelFault(f"this provider cannot be asked for {order.api}", _NOT_SPOKEN)
        if self._upstream is None:
            raise RuntimeError("the provider is not started: enter `life()`")
        if order.api == "chat":
            body = chat_as_messages(order, self.settings.max_tokens, cache=self.settings.cache)
        else:
            body = as_asked(order)
        return self._upstream.post(_PATH, body, self._headers(order))

    def _headers(self, order: Order) -> dict[str, str]:
        key = order.key or self.settings.key
        told = {name.lower(): value for name, value in order.headers.items() if name.lower() in _OF_THE_API[order.api]}
        own = {"x-api-key": key.reveal()} if key is not None else {}
        return {"anthropic-version": _VERSION, **told, **own}

    def _secrets(self, order: Order) -> list[str]:
        secrets = [self.settings.key, order.key, *self.settings.headers.values()]
        return [secret.reveal() for secret in secrets if secret is not None]

    async def _refuse(self, answer: Exchange, order: Order) -> None:
        if is_refusal(answer):
            fault = await refusal(answer, self._secrets(order), key_is_ours=order.key is None)
            raise in_words_of(order.api, fault)

    async def _refuse_unstreamed(self, answer: Exchange, order: Order) -> None:
        """What is no stream is an error that was found before there was one."""
        if answer.headers.get("content-type", "").lower().startswith("application/json"):
            message(*json_object(await answer.whole(self.settings.answer_bytes)), order.api, self._secrets(order))
            raise ModelLost("the provider did not stream its answer")


async def _next(answer: Exchange, reading: Progress) -> bytes:
    """Return some more of the stream; nothing when it ended, with all of the answer there."""
    try:
        some = await answer.read()
    except ModelLost:
        if reading.is_whole():
            return b""
        raise
    if not some and not reading.is_whole():
        raise ModelLost("the provider's stream ended before its answer did")
    return some
