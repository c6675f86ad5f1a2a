"""Identical requests at temperature 0 get the same answer, in the same project, and cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.ports.model import Order, Usage, Whole
from agentops.plugins.features.gateway.asked import Question
from agentops.plugins.features.gateway.cache import Cache
from agentops.plugins.features.gateway.settings import CacheSettings
from agentops.plugins.models.fixture import Fixture
from tests.gateway.gated import gated

if TYPE_CHECKING:
    from pathlib import Path


class Counting(Fixture):
    """Never answers the same twice."""

    asked = 0

    async def answer(self, order: Order) -> Whole:
        self.asked += 1
        return Whole(b'{"choices":[],"number":%d}' % self.asked, Usage(10, 5))


async def test_the_same_question_is_answered_again(tmp_path: Path) -> None:
    provider = Counting()
    async with gated(tmp_path, {"echo": provider}, cache={}) as gate:
        first, again = [(await gate.chat(temperature=0)).json() for _ in range(2)]
        assert (first["number"], again["number"], provider.asked) == (1, 1, 1)
        assert (first["_metadata"]["cost_incurred"], first["_metadata"]["cache_hit"]) == (15, False)
        assert (again["_metadata"]["cost_incurred"], again["_metadata"]["cache_hit"]) == (0, True)
        hits = [amount for _, name, amount, _ in gate.told.figures if name == "llm.cache.hits"]
        assert hits == [1]
        rows = (await gate.get("/llm/usage?by=provider"))["rows"]
        assert {row["provider"]: (row["calls"], row["cost"]) for row in rows} == {"echo": (1, 15), "cache": (1, 0)}


OTHER: dict[str, dict[str, Any]] = {
    "another-temperature": {"temperature": 0.5},
    "a-temperature-that-is-not-said": {"temperature": None},
    "another-text": {"temperature": 0, "text": "good bye"},
    "another-field": {"temperature": 0, "seed": 7},
    "another-project": {"temperature": 0, "name": "bob"},
}


@pytest.mark.parametrize("other", OTHER)
async def test_another_question_is_asked(tmp_path: Path, other: str) -> None:
    provider = Counting()
    async with gated(tmp_path, {"echo": provider}, cache={}) as gate:
        gate.let_in("bob", project="another")
        await gate.chat(temperature=0)
        asked = {name: value for name, value in OTHER[other].items() if value is not None}
        assert (await gate.chat(**asked)).json()["number"] == 2


async def test_without_the_table_nothing_is_kept(tmp_path: Path) -> None:
    provider = Counting()
    async with gated(tmp_path, {"echo": provider}) as gate:
        assert [(await gate.chat(temperature=0)).json()["number"] for _ in range(2)] == [1, 2]


def question(text: str) -> Question:
    return Question("chat", f'{{"model":"m","temperature":0,"messages":"{text}"}}'.encode())


def test_it_is_bounded_and_the_oldest_go_first() -> None:
    cache = Cache(CacheSettings(most_bytes=30_000))
    keys = [Cache.key_of("p", question(str(number)), {}) or b"" for number in range(20)]
    for key in keys:
        cache.keep(key, "provider", "target", bytes(2_000))
        cache.find(keys[0])
    kept = [key for key in keys if cache.find(key) is not None]
    assert kept == [keys[0], *keys[-11:]]
    cache.keep(keys[1], "provider", "target", bytes(4_000))
    assert cache.find(keys[1]) is None


def test_what_is_old_is_not_given() -> None:
    cache = Cache(CacheSettings(seconds=1e-9))
    key = Cache.key_of("p", question("x"), {}) or b""
    cache.keep(key, "provider", "target", b"{}")
    assert cache.find(key) is None


def test_names_and_values_do_not_run_together() -> None:
    one = Question("chat", b'{"model":"m","temperature":0,"a":"b","c":"d"}')
    two = Question("chat", b'{"model":"m","temperature":0,"a":"bc","":"d"}')
    assert Cache.key_of("p", one, {}) != Cache.key_of("p", two, {})
    assert Cache.key_of("p", one, {}) == Cache.key_of(
        "p", Question("chat", b'{"c":"d","temperature":0,"a":"b","model":"m"}'), {}
    )
