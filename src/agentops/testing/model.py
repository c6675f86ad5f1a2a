"""The contract of a provider of models, as tests: every line that `core/ports/model.py` promises.

    class TestMine(ModelContract):
        @pytest.fixture
        def model(self, provider):
            return Mine(base_url=provider.url, key="…")

`agentops.testing.provider` is a provider to run against. Where the provider of the test can say how many calls are
under way, give it as `under_way`, so that the tests can see calls end. The tests are coroutines: run them with
pytest-asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, ClassVar, Final, TypeAlias, cast, get_args

import msgspec
import pytest
import pytest_asyncio

from agentops.core.ports.model import Api, Model, ModelFault, ModelLost, Order, Piece, Usage
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret

AnyModel: TypeAlias = Model[Any]

PATIENCE: Final = 10
MANY: Final = 50
APIS: Final[tuple[Api, ...]] = get_args(Api)
OWN_KEY: Final = "sk-own-5f0c2b9d7e1a4c38"

_MESSAGES: Final = [{"role": "user", "content": "Name a turtle."}]
QUESTIONS: Final[Mapping[Api, Mapping[str, object]]] = {
    "chat": {"messages": _MESSAGES},
    "embeddings": {"input": "a turtle"},
    "responses": {"input": "Name a turtle."},
    "messages": {"messages": _MESSAGES, "max_tokens": 100},
}
STREAMED: Final = frozenset({"chat", "responses", "messages"})


class ModelContract:
    """Subclass, give `model`, run pytest."""

    model_name: ClassVar[str] = "fake-large"
    """A model that the provider has."""

    @pytest.fixture
    def model(self) -> AnyModel:
        raise NotImplementedError("give a fixture `model`: one that has not started, and a provider that answers it")

    @pytest.fixture
    def unreachable(self) -> AnyModel | None:
        """One whose provider is not there; nothing, for a provider that is always there."""
        return None

    @pytest.fixture
    def under_way(self) -> Callable[[], int]:
        """How many calls the provider has at the moment."""
        return lambda: 0

    @pytest_asyncio.fixture
    async def started(self, model: AnyModel) -> AsyncIterator[AnyModel]:
        async with model.life(Rungs()):
            yield model

    def order(self, api: Api, *, streamed: bool = False, **fields: object) -> Order:
        asked = {name: _raw(value) for name, value in {**QUESTIONS[api], **fields}.items()}
        return Order(api, self.model_name, asked, streamed)

    def apis(self, model: AnyModel) -> list[Api]:
        """Those that it speaks."""
        return [api for api in APIS if api in model.speaks]

    def streamed_apis(self, model: AnyModel) -> list[Api]:
        return [api for api in self.apis(model) if api in STREAMED]

    async def test_it_speaks_something_before_it_starts(self, model: AnyModel) -> None:
        assert model.speaks
        assert model.speaks <= set(APIS)

    @pytest.mark.parametrize("api", APIS)
    async def test_a_whole_answer_is_one_json_object(self, started: AnyModel, api: Api) -> None:
        if api not in started.speaks:
            return
        whole = await started.answer(self.order(api))
        assert isinstance(msgspec.json.decode(whole.body), dict)
        assert whole.usage is None or _is_sound(whole.usage)

    @pytest.mark.parametrize("api", APIS)
    async def test_what_it_does_not_speak_it_refuses(self, started: AnyModel, api: Api) -> None:
        if api in started.speaks:
            return
        with pytest.raises(ModelFault) as raised:
            await started.answer(self.order(api))
        assert not isinstance(raised.value, ModelLost)
        with pytest.raises(ModelFault):
            await _pieces(started, self.order(api, streamed=True))

    async def test_a_stream_is_made_of_json_objects_on_one_line_each(self, started: AnyModel) -> None:
        for api in self.streamed_apis(started):
            pieces = [piece for piece in await _pieces(started, self.order(api, streamed=True)) if piece.data]
            assert pieces
            for piece in pieces:
                assert b"\n" not in piece.data
                assert b"\r" not in piece.data
                assert isinstance(msgspec.json.decode(piece.data), dict)
                assert piece.event.isprintable()

    async def test_a_stream_says_what_was_written_and_what_was_used(self, started: AnyModel) -> None:
        for api in self.streamed_apis(started):
            pieces = await _pieces(started, self.order(api, streamed=True))
            assert "".join(piece.text for piece in pieces).strip()
            usages = [piece.usage for piece in pieces if piece.usage is not None]
            assert all(map(_is_sound, usages))
            assert usages == [] or usages[-1].output > 0

    async def test_a_stream_of_chat_is_of_chunks(self, started: AnyModel) -> None:
        if "chat" not in started.speaks:
            return
        chunks = [
            msgspec.json.decode(piece.data)
            for piece in await _pieces(started, self.order("chat", streamed=True))
            if piece.data
        ]
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
        assert all(chunk["choices"] for chunk in chunks), "usage was shown that nobody asked for"
        reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
        assert reasons[-1]
        assert not any(reasons[:-1])

    async def test_a_caller_who_asks_for_usage_is_shown_it(self, started: AnyModel) -> None:
        if "chat" not in started.speaks:
            return
        order = self.order("chat", streamed=True, stream_options={"include_usage": True})
        pieces = await _pieces(started, order)
        last = msgspec.json.decode([piece.data for piece in pieces if piece.data][-1])
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] > 0

    async def test_an_order_is_not_changed(self, started: AnyModel) -> None:
        for api in self.streamed_apis(started):
            order = self.order(api, streamed=True)
            before = {name: bytes(value) for name, value in order.fields.items()}
            await _pieces(started, order)
            await started.answer(order._replace(streamed=False))
            assert {name: bytes(value) for name, value in order.fields.items()} == before

    async def test_many_at_once_are_not_mixed_up(self, started: AnyModel) -> None:
        api = self.apis(started)[0]
        wholes = await asyncio.gather(*(started.answer(self.order(api)) for _ in range(MANY)))
        assert len(wholes) == MANY
        for streamed in self.streamed_apis(started)[:1]:
            orders = [self.order(streamed, streamed=True) for _ in range(MANY)]
            texts = ["".join(piece.text for piece in each) for each in await _all_pieces(started, orders)]
            assert len(set(texts)) == 1

    async def test_closing_a_stream_ends_the_call(self, started: AnyModel, under_way: Callable[[], int]) -> None:
        for api in self.streamed_apis(started):
            async with aclosing(started.stream(self.order(api, streamed=True))) as stream:
                await anext(stream)
            await _none(under_way)

    async def test_cancelling_ends_the_call(self, started: AnyModel, under_way: Callable[[], int]) -> None:
        api = self.apis(started)[0]
        calling = asyncio.create_task(started.answer(self.order(api)))
        await asyncio.sleep(0)
        calling.cancel()
        await asyncio.wait([calling])
        assert calling.cancelled() or calling.exception() is None
        await _none(under_way)
        assert (await started.answer(self.order(api))).body

    async def test_a_provider_that_is_not_there_is_lost(self, unreachable: AnyModel | None) -> None:
        if unreachable is None:
            return
        async with unreachable.life(Rungs()):
            for api in self.apis(unreachable):
                with pytest.raises(ModelLost):
                    await unreachable.answer(self.order(api))
            for api in self.streamed_apis(unreachable):
                with pytest.raises(ModelLost):
                    await _pieces(unreachable, self.order(api, streamed=True))

    async def test_a_key_of_the_caller_is_never_told(self, started: AnyModel) -> None:
        api = self.apis(started)[0]
        order = self.order(api)._replace(key=Secret(OWN_KEY))
        assert OWN_KEY not in repr(order)
        told = ""
        try:
            told = repr(await started.answer(order))
        except ModelFault as fault:
            told = f"{fault!r} {fault.message} {fault.headers} {fault.body!r}"
        assert OWN_KEY not in told

    async def test_it_may_stop_and_start_again(self, model: AnyModel) -> None:
        api = self.apis(model)[0]
        for _ in range(3):
            async with model.life(Rungs()):
                assert (await model.answer(self.order(api))).body


async def _pieces(model: AnyModel, order: Order) -> list[Piece]:
    async with asyncio.timeout(PATIENCE), aclosing(model.stream(order)) as stream:
        return [piece async for piece in stream]


async def _all_pieces(model: AnyModel, orders: list[Order]) -> list[list[Piece]]:
    return await asyncio.gather(*(_pieces(model, order) for order in orders))


async def _none(under_way: Callable[[], int]) -> None:
    async with asyncio.timeout(PATIENCE):
        while under_way():  # noqa: ASYNC110 - a provider of somebody else tells nobody when a call ends
            await asyncio.sleep(0.005)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _is_sound(usage: Usage) -> bool:
    counts = cast("tuple[int, ...]", usage[:4])
    return all(count >= 0 for count in counts) and usage.cached + usage.written <= usage.input
