"""Asks Anthropic, in its own words or translated from chat completions and back."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from agentops.core.ports.model import Api, ModelFault, ModelLost, Order, Piece, Whole
from agentops.outgoing import HttpModel, json_object, pieces_of
from agentops.plugins.models.anthropic._answer import as_chat_completion, message
from agentops.plugins.models.anthropic._chunks import Chunks
from agentops.plugins.models.anthropic._faults import in_words_of
from agentops.plugins.models.anthropic._native import Relayed, as_answered, as_asked
from agentops.plugins.models.anthropic._request import chat_as_messages, shows_usage
from agentops.plugins.models.anthropic.settings import AnthropicSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agentops.outgoing import Call, Exchange, Reading

_PATH: Final = "/v1/messages"
_NOT_SPOKEN: Final = 400
_VERSION: Final = "2023-06-01"
_OF_THE_API: Final = {"chat": ("anthropic-beta",), "messages": ("anthropic-beta", "anthropic-version")}
"""What is said of another version is not what the translation says."""


class Anthropic(HttpModel[AnthropicSettings]):
    """`use = "anthropic"`."""

    speaks: frozenset[Api] = frozenset({"chat", "messages"})

    @override
    async def answer(self, order: Order) -> Whole:
        async with self._post(order._replace(streamed=False)) as answer:
            await self._refuse(answer, order)
            fields, body = json_object(await answer.whole(self.settings.answer_bytes))
        found = message(fields, body, order.api, self.secrets(order))
        if order.api == "chat":
            return as_chat_completion(found, order.model, int(time.time()))
        return as_answered(found, body)

    @override
    async def stream(self, order: Order) -> AsyncGenerator[Piece]:
        secrets = self.secrets(order)
        reading: Reading = Relayed(secrets)
        if order.api == "chat":
            reading = Chunks(order.model, int(time.time()), secrets, shows_usage=shows_usage(order))
        async with self._post(order._replace(streamed=True)) as answer:
            await self._refuse(answer, order)
            await self._refuse_unstreamed(answer, order)
            async with aclosing(pieces_of(answer, reading)) as pieces:
                async for piece in pieces:
                    yield piece

    def _post(self, order: Order) -> Call:
        if order.api not in self.speaks:
            raise ModelFault(f"this provider cannot be asked for {order.api}", _NOT_SPOKEN)
        if order.api == "chat":
            body = chat_as_messages(order, order.most_output or self.settings.max_tokens, cache=self.settings.cache)
        else:
            body = as_asked(order)
        return self.post(_PATH, body, self._headers(order))

    def _headers(self, order: Order) -> dict[str, str]:
        key = order.key or self.settings.key
        told = {name.lower(): value for name, value in order.headers.items() if name.lower() in _OF_THE_API[order.api]}
        own = {"x-api-key": key.reveal()} if key is not None else {}
        return {"anthropic-version": _VERSION, **told, **own}

    async def _refuse(self, answer: Exchange, order: Order) -> None:
        if (fault := await self.refused(answer, order)) is not None:
            raise in_words_of(order.api, fault)

    async def _refuse_unstreamed(self, answer: Exchange, order: Order) -> None:
        """What is no stream is an error that was found before there was one."""
        if answer.headers.get("content-type", "").lower().startswith("application/json"):
            message(*json_object(await answer.whole(self.settings.answer_bytes)), order.api, self.secrets(order))
            raise ModelLost("the provider did not stream its answer")
