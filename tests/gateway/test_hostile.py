"""What a hostile caller, provider or plugin may try: to pay less than was used, and to leave something held."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agentops import ConfigurationError, Identity, NoSettings
from agentops.core.ports.model import Model, Order, Piece, Usage, Whole
from agentops.plugins.features.gateway.asked import IMAGE_TOKENS, Question
from agentops.plugins.features.gateway.cache import Cache
from agentops.plugins.features.gateway.presence import Ended, Presence
from agentops.plugins.features.gateway.recording import CONTENT_MOST
from tests.gateway.calling import assert_nothing_is_held, call_in, post
from tests.gateway.gated import CHAT, PRICE, gated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from agentops.core.ports.model import Api
    from tests.gateway.gated import Gated

BUDGET: dict[str, Any] = {"each_key": {"budget_day": 1_000_000, "parallel": 1}}
TEXT = "hello_world_" * 20_000


class Counting(Model[NoSettings]):
    """Says what it likes of what it used."""

    def __init__(self, usage: Any, said: str = "hi") -> None:
        super().__init__()
        self.usage = usage
        self.said = said

    async def answer(self, order: Order) -> Whole:
        return Whole(b'{"choices":[{"message":{"content":"hi"}}]}', self.usage)

    async def stream(self, order: Order) -> AsyncGenerator[Piece]:
        yield Piece(b'{"choices":[]}', text=self.said)
        yield Piece(b'{"choices":[]}', usage=self.usage, text=self.said)


async def raw(gate: Gated, body: bytes) -> int:
    headers = {"Authorization": "Bearer alice", "Content-Type": "application/json", "X-Agentops-Run": "hostile"}
    return (await gate.server.client.post(CHAT, content=body, headers=headers)).status_code


@pytest.mark.parametrize(
    "usage",
    [(-1_000, 1), (1, -1_000), (1, 1, -5), (10**30, 1), (2**62, 2**62), (None, 1), ("7", 1), (1.5, 1), (True, 1)],
    ids=str,
)
async def test_a_count_that_is_none_is_estimated(tmp_path: Path, usage: tuple[Any, ...]) -> None:
    async with gated(tmp_path, {"odd": Counting(Usage(*usage))}, **BUDGET) as gate:
        assert (await post(gate)).status_code == 200
        call = await call_in(gate.kit)
        assert (call.input, call.output, call.estimated, call.cost) == (4, 1, True, 5)
        await assert_nothing_is_held(gate.kit)


@pytest.mark.parametrize("content", ["off", "on", "redacted"])
@pytest.mark.parametrize("depth", [400, 900, 950, 980, 1_000, 5_000])
async def test_nesting_leaves_nothing_held_and_is_charged(tmp_path: Path, content: str, depth: int) -> None:
    body = b'{"model":"small","stream":true,"messages":%b%b}' % (b"[" * depth, b"]" * depth)
    async with gated(tmp_path, {"odd": Counting(Usage(3, 4))}, content=content, **BUDGET) as gate:
        status = await raw(gate, body)
        assert status in {200, 400}
        await assert_nothing_is_held(gate.kit)
        if status == 200:
            assert (await call_in(gate.kit)).cost == 7
            assert [event["type"] for event in await gate.events("hostile")] == ["llm.request", "llm.response"]


async def test_what_cannot_be_told_is_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(call: object) -> None:
        raise ValueError(call)

    monkeypatch.setattr("agentops.plugins.features.gateway.settling.ended_events", broken)
    async with gated(tmp_path, {"odd": Counting(Usage(3, 4))}, **BUDGET) as gate:
        assert (await post(gate)).status_code == 200
        assert (await call_in(gate.kit)).cost == 7
        await assert_nothing_is_held(gate.kit)


@pytest.mark.parametrize("fields", [{"max_tokens": 10**18, "n": 128}, {"max_tokens": 2**63}, {"max_tokens": 10**30}])
async def test_no_bound_is_more_than_a_number(tmp_path: Path, fields: dict[str, Any]) -> None:
    async with gated(tmp_path, **BUDGET) as gate:
        assert (await post(gate, **fields)).status_code == 400
        assert (await post(gate, max_tokens=10**9, n=128)).status_code == 429
        await assert_nothing_is_held(gate.kit)


@pytest.mark.parametrize(
    ("api", "fields", "most"),
    [
        ("responses", {"max_tokens": 1, "max_completion_tokens": 1}, None),
        ("responses", {"max_tokens": 1, "max_output_tokens": 9, "n": 2}, 18),
        ("messages", {"max_completion_tokens": 1, "max_tokens": 9}, 9),
        ("chat", {"max_completion_tokens": 1, "max_tokens": 9}, 9),
        ("chat", {"max_output_tokens": 1}, None),
        ("embeddings", {"max_tokens": 1}, None),
    ],
)
def test_a_bound_that_the_provider_passes_over_is_none(api: Api, fields: dict[str, int], most: int | None) -> None:
    assert Question(api, msgspec.json.encode({"model": "m", **fields})).most_output == most


@pytest.mark.parametrize(
    "content",
    [TEXT, {"type": "text", "data": TEXT}, {"type": "text", "text": TEXT}, {"text": TEXT}],
    ids=["plain", "text-as-data", "text", "part"],
)
def test_text_that_looks_like_data_is_text(content: Any) -> None:
    question = Question("chat", msgspec.json.encode({"model": "m", "messages": [{"content": [content]}]}))
    assert question.read_likely > 20 * IMAGE_TOKENS


def test_what_is_no_parameter_is_not_told_of() -> None:
    fields = {"prediction": "a patient's name", "stop": ["secret"], "My secret": 1, "functions": [{}], "seed": 7}
    many = {f"x{number}": 1 for number in range(10_000)}
    question = Question("chat", msgspec.json.encode({"model": "m", "effort": "high", **fields, **many}))
    assert list(question.parameters)[:2] == ["effort", "seed"]
    assert len(question.parameters) == 50


async def test_callers_without_keys_are_told_apart(tmp_path: Path) -> None:
    async with gated(tmp_path, {"odd": Counting(Usage(1, 1))}, **BUDGET) as gate:
        for name, project, subject in (("x", "a/b", "c"), ("y", "a", "b/c")):
            gate.who.known[name] = Identity(subject, project, frozenset({"*"}))
            assert (await post(gate, name=name)).status_code == 200
        rows = await gate.kit.deployment.storage.read_rows("SELECT spent FROM purses WHERE id LIKE '%:day'")
        assert [*rows] == [(2,), (2,)]


async def test_an_endless_answer_is_not_kept(tmp_path: Path) -> None:
    async with gated(tmp_path, {"odd": Counting(Usage(1, 1), "x" * CONTENT_MOST)}, content="on") as gate:
        assert await raw(gate, b'{"model":"small","stream":true,"messages":[]}') == 200
        last = (await gate.events("hostile"))[-1]
        assert last["payload"]["content"] == {"omittedBytes": 2 * CONTENT_MOST}


def test_another_version_of_the_api_has_another_answer() -> None:
    question = Question("messages", b'{"model":"m","temperature":0}')
    keys = {Cache.key_of("p", question, headers) for headers in ({}, {"anthropic-beta": "a"}, {"anthropic-beta": "b"})}
    assert len(keys) == 3


async def test_who_leaves_between_two_blocks_has_left() -> None:
    presence = Presence(asyncio.Queue[Any]().get, 60, lambda _: None)
    with presence:
        pass
    presence.end("left")
    with pytest.raises(Ended, match="left"), presence:
        await asyncio.sleep(0)
    presence.close()


async def test_a_price_of_days_to_come_is_none_today(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no price yet"):
        async with gated(tmp_path, price={**PRICE, "since": date(2999, 1, 1)}):
            pass
