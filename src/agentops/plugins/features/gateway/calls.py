"""The life of a call: asked of one provider after the other until one answers, and settled whatever happens."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from agentops.core.ports.model import ModelLost, Order, Piece, Usage, Whole
from agentops.core.retrying import Retrying
from agentops.plugins.features.gateway.presence import Ended
from agentops.plugins.features.gateway.prices import day_of
from agentops.plugins.features.gateway.recording import CONTENT_MOST
from agentops.plugins.features.gateway.targets import may_go_to_another
from agentops.plugins.features.gateway.written import written_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from agentops.core.ports.model import Model
    from agentops.core.ports.retry import Retry
    from agentops.core.signals import Signals
    from agentops.money.records import Outcome
    from agentops.plugins.features.gateway.cache import Cache
    from agentops.plugins.features.gateway.call import Call
    from agentops.plugins.features.gateway.prices import Prices
    from agentops.plugins.features.gateway.settling import Settling

T = TypeVar("T")


class Pieces(NamedTuple):
    """A stream that has begun: its first piece with something to hand on, and where the rest comes from."""

    first: Piece
    rest: AsyncGenerator[Piece]


class Calls:
    """Carries out calls that were held for."""

    def __init__(
        self,
        models: Mapping[str, Model[Any]],
        retry: Retry[Any] | None,
        prices: Prices,
        cache: Cache | None,
        *,
        settling: Settling,
        signals: Signals,
    ) -> None:
        self._models = models
        self._retry = retry
        self._prices = prices
        self._cache = cache
        self._settling = settling
        self._signals = signals

    async def answer(self, call: Call) -> Whole:
        """A whole answer; it is `ended` that settles it."""
        key = None if self._cache is None else self._cache.key_of(call.identity.project, call.question, call.headers)
        whole = self._cached(call, key)
        if whole is None:
            whole = await self._first_that_answers(call, _whole)
            if whole.usage is not None:
                call.count(whole.usage)
            if self._cache is not None and key is not None:
                self._cache.keep(key, call.provider, call.target, whole.body)
        call.began()
        if call.counted is None:
            call.wrote = written_in(call.question.api, whole.body)
        if call.content != "off":
            call.answer = whole.body
        return whole

    async def begin(self, call: Call) -> Pieces:
        """A stream whose first piece is there: until then another provider may be asked, and a status answered."""
        pieces = await self._first_that_answers(call, _begun)
        call.began()
        _note(call, pieces.first)
        return pieces

    async def rest(self, call: Call, pieces: Pieces) -> AsyncGenerator[Piece]:
        """Hand on what comes; whoever is handed it closes what it comes from."""
        yield pieces.first
        async for piece in pieces.rest:
            _note(call, piece)
            if piece.data:
                yield piece

    async def ended(self, call: Call, error: BaseException | None = None) -> None:
        """Settle a call, whatever ended it; to be called once."""
        outcome: Outcome = "ok"
        if isinstance(error, (Ended, asyncio.CancelledError)):
            outcome = "left"
        elif error is not None:
            outcome = "failed" if call.first_ms is None else "cut"
            if call.first_ms is not None and isinstance(error, Exception):
                call.failed(error)
        await self._settling.settle(call, outcome)

    def _cached(self, call: Call, key: bytes | None) -> Whole | None:
        found = None if self._cache is None or key is None else self._cache.find(key)
        if found is None:
            return None
        self._signals.count("llm.cache.hits", model=call.question.asked.model)
        call.provider, call.target, call.from_cache, call.counted = found.provider, found.target, True, Usage()
        return Whole(found.body)

    async def _first_that_answers(self, call: Call, ask: Callable[[Model[Any], Order], Awaitable[T]]) -> T:
        last: Exception | None = None
        for target in call.targets:
            call.provider, call.target = target.provider, target.model or call.question.asked.model
            call.price = self._prices.of(call.provider, call.target, day_of(call.at))
            try:
                return await self._tried(call, ask)
            except Exception as error:
                if not may_go_to_another(error):
                    raise
                last = error
        raise last or AssertionError("a model has targets")

    async def _tried(self, call: Call, ask: Callable[[Model[Any], Order], Awaitable[T]]) -> T:
        question, model = call.question, self._models[call.provider]
        key = call.own_keys.get(call.provider)
        call.own_key = key is not None
        order = Order(
            question.api, call.target, question.fields, question.streamed, key, call.headers, call.most_output
        )

        async def attempt() -> T:
            call.tries += 1
            try:
                return await ask(model, order)
            except Exception as error:
                call.failed(error)
                raise

        retrying = Retrying(
            self._retry, question.api, call.provider, None, {"adapter": call.provider, "model": question.asked.model}
        )
        return await retrying.call(attempt, max(0.0, call.until - time.monotonic()))


async def _whole(model: Model[Any], order: Order) -> Whole:
    return await model.answer(order)


async def _begun(model: Model[Any], order: Order) -> Pieces:
    rest, usage = model.stream(order), None
    try:
        async for piece in rest:
            usage = piece.usage or usage
            if piece.data:
                return Pieces(piece._replace(usage=usage), rest)
    except BaseException:
        await rest.aclose()
        raise
    raise ModelLost("the provider ended its answer before it began")


def _note(call: Call, piece: Piece) -> None:
    if piece.usage is not None:
        call.count(piece.usage)
    if piece.text:
        call.wrote += len(piece.text.encode())
        if call.content != "off" and call.wrote <= CONTENT_MOST:
            call.texts.append(piece.text)
