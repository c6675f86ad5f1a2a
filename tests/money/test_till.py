"""What the till promises of one call: held, settled once, given back."""

from __future__ import annotations

import pytest

from agentops.core.errors import Conflict, TooManyRequests
from agentops.money.purses import of_credits
from tests.money.parts import BUDGET, CREDITS, NO_ROOM, Shop, a_record, want


async def test_what_is_held_is_settled_on_what_was_used(shop: Shop) -> None:
    assert await shop.till.hold("c", [want(60), want(1, 5, "key:k:parallel", 0)], 0) == {
        BUDGET: 60,
        "key:k:parallel": 1,
    }
    assert await shop.purse() == (1, 100, 0, 60)
    await shop.till.settle(a_record("c", 25), {BUDGET: 25})
    assert await shop.purse() == (1, 100, 25, 0)
    assert await shop.purse("key:k:parallel") == (0, 5, 0, 0)
    await shop.assert_idle()


async def test_what_does_not_fit_is_refused_at_once_and_holds_nothing(shop: Shop) -> None:
    for first in (want(101), want(-1 + 2, 0, "key:k:tokens")):
        with pytest.raises(TooManyRequests, match=NO_ROOM):
            await shop.till.hold("c", [want(1, 5, "a"), first], 10)
    assert await shop.rows("SELECT id FROM purses") == []
    await shop.assert_idle()


async def test_the_first_want_without_room_is_the_one_that_is_told(shop: Shop) -> None:
    mine, other = want(10, 5, "z"), want(10, 5, "a")._replace(refusal=Conflict("another"))
    with pytest.raises(TooManyRequests, match=NO_ROOM):
        await shop.till.hold("c", [want(1), mine, other], 0)


async def test_a_call_is_settled_once(shop: Shop) -> None:
    await shop.till.hold("c", [want(60)], 0)
    statements = shop.till.settlement(a_record("c", 25), {BUDGET: 25})
    await shop.events.append("p", "run", [], "completed", statements)
    with pytest.raises(Conflict, match="settled"):
        await shop.events.append("p", "run", [], "error", statements)
    assert await shop.till.settle(a_record("c", 25), {BUDGET: 25}) is None
    assert await shop.purse() == (1, 100, 25, 0)
    run = await shop.storage.get_run("p", "run")
    assert run is not None
    assert run.status == "completed"
    assert len(await shop.rows("SELECT id FROM calls")) == 1
    assert await shop.rows("SELECT calls, cost FROM usage") == [(1, 25)]


async def test_a_new_period_begins_at_nothing_and_keeps_what_is_held(shop: Shop) -> None:
    await shop.till.hold("old", [want(60)], 0)
    await shop.till.hold("spent", [want(40)], 0)
    await shop.till.settle(a_record("spent", 40), {BUDGET: 40})
    await shop.till.hold("new", [want(30, period=2)], 0)
    assert await shop.purse() == (2, 100, 0, 90)
    await shop.till.settle(a_record("old", 60), {BUDGET: 60})
    assert await shop.purse() == (2, 100, 0, 30)
    await shop.till.release("new")
    await shop.assert_idle()


async def test_a_call_without_bound_gets_what_is_left(shop: Shop) -> None:
    await shop.till.hold("a", [want(70)], 0)
    with pytest.raises(TooManyRequests, match=NO_ROOM):
        await shop.till.hold("b", [want(1000, least=20)], 0)
    await shop.till.settle(a_record("a", 70), {BUDGET: 70})
    with pytest.raises(TooManyRequests, match=NO_ROOM):
        await shop.till.hold("b", [want(1000, least=31)], 0)
    assert await shop.till.hold("b", [want(1000, least=20)], 0) == {BUDGET: 30}


async def test_credits_begin_with_a_grant_and_every_change_is_in_the_ledger(shop: Shop) -> None:
    shop.till._start = shop.till._start._replace(allocated=50)
    assert (await shop.till.balance("p", "u")).remaining == 50
    await shop.till.hold("c", [want(40, None, CREDITS, 0)], 0)
    await shop.till.settle(a_record("c", 15), {CREDITS: 15})
    with pytest.raises(TooManyRequests, match=NO_ROOM):
        await shop.till.hold("d", [want(40, None, CREDITS, 0)], 0)
    entries = await shop.till.ledger("p", "u", 10)
    assert [(each.kind, each.amount, each.balance_before, each.balance_after) for each in entries] == [
        ("call", -15, 50, 35),
        ("start", 50, 0, 50),
    ]
    assert await shop.till.ledger("p", "u", 10, before=entries[0].id) == entries[1:]
    await shop.assert_idle()
    assert of_credits("p/a", "u") != of_credits("p", "a/u")
