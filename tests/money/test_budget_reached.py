"""A budget that is used up is told of once."""

from __future__ import annotations

from agentops.plugins.features.webhooks.ear import Ear
from tests.money.parts import BUDGET, CREDITS, Shop, a_record, want


async def spend(shop: Shop, call: str, amount: int, period: int = 1) -> None:
    await shop.till.hold(call, [want(amount, period=period), want(amount, 1000, "key:k:tokens", period)], 0)
    await shop.till.settle(a_record(call), {BUDGET: amount, "key:k:tokens": amount})


async def test_a_budget_is_told_of_when_it_is_used_up_and_once_in_a_period(shop: Shop) -> None:
    await spend(shop, "a", 60)
    assert shop.told.named("budget.reached") == []
    await spend(shop, "b", 40)
    told = {"purse": BUDGET, "size": 100, "project": "p"}
    assert shop.told.only("budget.reached") == ("warning", told)
    await spend(shop, "c", 0)
    assert len(shop.told.named("budget.reached")) == 1
    await spend(shop, "d", 100, period=2)
    assert shop.told.named("budget.reached") == [told, told]


async def test_what_is_no_money_is_not_told_of(shop: Shop) -> None:
    await shop.till.hold("c", [want(5, 5, "key:k:tokens")], 0)
    await shop.till.settle(a_record("c"), {"key:k:tokens": 5})
    assert shop.told.named("budget.reached") == []


async def test_a_late_call_of_a_period_that_is_over_is_not_told_of(shop: Shop) -> None:
    await shop.till.hold("old", [want(60)], 0)
    await spend(shop, "new", 40, period=2)
    await shop.till.settle(a_record("old"), {BUDGET: 60})
    assert shop.told.named("budget.reached") == []


async def test_credits_that_are_used_up_are_told_of_to_webhooks(shop: Shop) -> None:
    ear = Ear("p", "i", 1, 1)
    shop.till._start = shop.till._start._replace(allocated=50)
    with shop.till._signals.told_to(ear):
        await shop.till.hold("c", [want(50, None, CREDITS, 0)], 0)
        await shop.till.settle(a_record("c"), {CREDITS: 50})
    (notice,) = ear.heard()
    assert notice.kind == "budget.reached"
    assert notice.data == {"purse": CREDITS, "size": 50, "project": "p", "instance": "i"}
