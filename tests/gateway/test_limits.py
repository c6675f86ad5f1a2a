"""What a key may call: each limit is named when it refuses, and says whether waiting helps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import openai
import pytest

from agentops.core.allowance import AMOUNT_MOST, Allowance
from agentops.plugins.features.gateway import GatewaySettings
from agentops.plugins.models.fixture import Fixture
from tests.gateway.gated import gated

if TYPE_CHECKING:
    from pathlib import Path

    from agentops import Kit
    from agentops.core.ports.model import Order, Whole


async def held_in(kit: Kit) -> list[Any]:
    """What calls hold now."""
    return [*await kit.deployment.storage.read_rows("SELECT id, held FROM purses WHERE held <> 0")]


REFUSED = {
    "model": (Allowance(models=("large",)), 403, "model_not_allowed", "'small'"),
    "cost-per-call": (Allowance(cost_per_call=1), 400, "cost_limit_exceeded", "$0.000001"),
    "budget-day": (Allowance(budget_day=1), 429, "insufficient_quota", "for a day, $0.000001"),
    "budget-month": (Allowance(budget_month=1), 429, "insufficient_quota", "for a month, $0.000001"),
    "tokens-that-never-fit": (Allowance(tokens_per_minute=1), 429, "rate_limit_exceeded", "1 tokens a minute"),
}


@pytest.mark.parametrize("limit", REFUSED)
async def test_what_never_fits_is_refused_for_good(tmp_path: Path, limit: str) -> None:
    allowance, status, code, said = REFUSED[limit]
    async with gated(tmp_path) as gate:
        gate.let_in("bob", allowance)
        answer = await gate.chat("bob", max_tokens=10)
        assert answer.status_code == status
        error = answer.json()["error"]
        assert error["code"] == code
        assert said in error["message"]
        assert answer.headers["x-should-retry"] == "false"
        assert (await gate.get("/llm/usage?user=bob"))["rows"] == []


async def test_requests_a_minute_come_again_with_the_next(tmp_path: Path) -> None:
    async with gated(tmp_path) as gate:
        gate.let_in("bob", Allowance(requests_per_minute=3))
        answers = [await gate.chat("bob") for _ in range(5)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 1 <= len(refused) <= 2  # three, or six if the minute ended meanwhile
        assert refused[0].json()["error"]["code"] == "rate_limit_exceeded"
        assert 1 <= int(refused[0].headers["retry-after"]) <= 60
        assert "x-should-retry" not in refused[0].headers


async def test_only_so_many_calls_at_once(tmp_path: Path) -> None:
    async with gated(tmp_path, {"echo": Fixture(piece_seconds=0.2)}) as gate:
        gate.let_in("bob", Allowance(parallel=2))
        streams = [
            await gate.client("bob").chat.completions.create(
                model="small", messages=[{"role": "user", "content": "a b c d e"}], stream=True
            )
            for _ in range(2)
        ]
        with pytest.raises(openai.RateLimitError, match="2 calls at once"):
            await gate.client("bob").chat.completions.create(model="small", messages=[{"role": "user", "content": "x"}])
        for stream in streams:
            assert [chunk async for chunk in stream]
        assert (await gate.chat("bob")).is_success


async def test_a_key_without_limits_has_those_of_each(tmp_path: Path) -> None:
    async with gated(tmp_path, each_key={"budget_day": 1}) as gate:
        gate.let_in("bob", Allowance(budget_day=1_000_000))
        assert (await gate.chat("alice", max_tokens=5)).status_code == 429
        assert (await gate.chat("bob", max_tokens=5)).status_code == 200


async def test_two_hundred_at_once_against_a_budget_for_a_hundred(tmp_path: Path) -> None:
    """The fixture counts a little less than is reckoned, so that all hundred fit, the last one alone."""
    async with gated(tmp_path) as gate:
        first = await gate.chat("alice", max_tokens=5)
        cost: int = first.json()["_metadata"]["cost_incurred"]
        gate.let_in("bob", Allowance(budget_day=100 * cost))
        answers = await asyncio.gather(*(gate.chat("bob", max_tokens=2) for _ in range(200)))
        served = [answer.json()["_metadata"]["cost_incurred"] for answer in answers if answer.is_success]
        refused = {answer.json()["error"]["message"] for answer in answers if not answer.is_success}
        assert (len(served), sum(served), len(refused)) == (100, 100 * cost, 1), refused
        assert (await gate.get("/llm/usage?user=bob"))["rows"][0]["cost"] == 100 * cost
        assert await held_in(gate.kit) == []


async def test_a_call_without_a_bound_is_bounded_as_it_was_held(tmp_path: Path) -> None:
    """Where the provider wants a bound, which Anthropic does, it is told the one of the model."""
    orders: list[Order] = []

    class Keeping(Fixture):
        async def answer(self, order: Order) -> Whole:
            orders.append(order)
            return await super().answer(order)

    async with gated(tmp_path, {"echo": Keeping()}) as gate:
        assert (await gate.chat()).is_success
        assert orders[0].most_output == 4096


@pytest.mark.parametrize(
    "limit", [{"budget_day": AMOUNT_MOST + 1}, {"parallel": AMOUNT_MOST + 1}, {"models": ["m"] * 101}]
)
def test_no_limit_of_each_key_is_one_that_no_key_may_have(limit: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"each_key": limit}, GatewaySettings)
