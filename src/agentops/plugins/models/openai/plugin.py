"""Asks whatever speaks OpenAI's API. What the caller sent goes on as it is, and what comes back is looked at first."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec
from typing_extensions import override

from agentops.core.ports.model import ModelFault, ModelLost, Order, Piece, Whole
from agentops.core.problem import Problem
from agentops.outgoing import HttpModel, error_in, pieces_of
from agentops.plugins.models.openai._chat import (
    ChatReading,
    asks_for_usage,
    whole_chat,
    whole_embeddings,
    with_usage_asked,
)
from agentops.plugins.models.openai._reading import fault_of
from agentops.plugins.models.openai._responses import ResponsesReading, whole_response
from agentops.plugins.models.openai.settings import OpenAISettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from agentops.outgoing import Call, Exchange, Reading

_PATHS: Final = {"chat": "/chat/completions", "embeddings": "/embeddings", "responses": "/responses"}
_WHOLE: Final = {"chat": whole_chat, "embeddings": whole_embeddings, "responses": whole_response}
_STREAMED: Final = frozenset({"chat", "responses"})
_OF_THE_API: Final = ("openai-beta",)
_OF_THE_KEY: Final = ("openai-organization", "openai-project")
"""They say whose account pays, so they are for the caller to say only of a key of the caller's own."""
_OURS: Final = frozenset({"model", "stream"})
_NOT_SPOKEN: Final = 400


class OpenAI(HttpModel[OpenAISettings]):
    """`use = "openai"`."""

    def __init__(self, settings: OpenAISettings | None = None, /, **values: Any) -> None:
        super().__init__(settings, **values)
        self.speaks = frozenset(self.settings.speaks)

    @override
    def check(self) -> Iterator[Problem]:
        yield from super().check()
        if not self.speaks:
            yield Problem(
                "speaks",
                "this provider speaks nothing",
                "no call could be made to it",
                'name what it has, such as ["chat", "embeddings"], or remove the setting',
            )

    @override
    async def answer(self, order: Order) -> Whole:
        async with self._post(order, order.fields) as answer:
            await self._refuse(answer, order)
            body = await answer.whole(self.settings.answer_bytes)
        return _WHOLE[order.api](body, self.secrets(order))

    @override
    async def stream(self, order: Order) -> AsyncGenerator[Piece]:
        reading: Reading = ResponsesReading(self.secrets(order))
        if order.api == "chat":
            reading = ChatReading(self.secrets(order), shows_usage=asks_for_usage(order.fields))
        async with self._post(order, self._streamed(order), streamed=True) as answer:
            await self._refuse(answer, order)
            await self._refuse_unstreamed(answer, order)
            async with aclosing(pieces_of(answer, reading)) as pieces:
                async for piece in pieces:
                    yield piece

    def _streamed(self, order: Order) -> Mapping[str, msgspec.Raw]:
        return with_usage_asked(order.fields) if order.api == "chat" and self.settings.asks_usage else order.fields

    def _post(self, order: Order, fields: Mapping[str, msgspec.Raw], *, streamed: bool = False) -> Call:
        if order.api not in self.speaks or (streamed and order.api not in _STREAMED):
            raise ModelFault(f"this provider cannot be asked for {order.api} in this way", _NOT_SPOKEN)
        said = {name: value for name, value in fields.items() if name not in _OURS}
        body = msgspec.json.encode({"model": order.model, **({"stream": True} if streamed else {}), **said})
        return self.post(_PATHS[order.api], body, self._headers(order))

    def _headers(self, order: Order) -> dict[str, str]:
        key = order.key or self.settings.key
        name = self.settings.key_header
        scheme = "Bearer " if name.lower() == "authorization" else ""
        headers = {} if key is None else {name: f"{scheme}{key.reveal()}"}
        wanted = _OF_THE_API if order.key is None else (*_OF_THE_API, *_OF_THE_KEY)
        headers.update({name: value for name, value in order.headers.items() if name.lower() in wanted})
        return headers

    async def _refuse(self, answer: Exchange, order: Order) -> None:
        if (fault := await self.refused(answer, order)) is not None:
            raise fault

    async def _refuse_unstreamed(self, answer: Exchange, order: Order) -> None:
        """What is no stream is an error that was found before there was one."""
        if answer.headers.get("content-type", "").lower().startswith("application/json"):
            said = error_in(await answer.whole(self.settings.answer_bytes))
            if said is not None:
                raise fault_of(said, self.secrets(order))
            raise ModelLost("the provider did not stream its answer")
