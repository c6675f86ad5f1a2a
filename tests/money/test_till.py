"""What the till promises of one call: held, settled once, given back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentops.core.errors import Conflict, TooLarge, TooManyRequests, Unavailable
from agentops.money.purses import of_credits
from tests.core.eventlog.faulty import Faulty, event
from tests.core.parts import until
from tests.money.parts import BUDGET, CREDITS, NO_ROOM, Shop, a_record, open_shop, want

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentops.core.errors import Refusal
    from agentops.core.ports.storage import Append, Appended


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
    mine, other = want(10, 5, "z"), want(10, 5, "a")._replace(refusal=lambda: Conflict("another"))
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


async def test_a_settlement_that_is_cancelled_at_any_moment_is_carried_out(shop: Shop) -> None:
    for turns in range(1, 40):
        call = f"c{turns}"
        await shop.till.hold(call, [want(60, 1000)], 0)
        task = asyncio.create_task(shop.till.settle(a_record(call, 1), {BUDGET: 1}))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await shop.till.release(call)
        await asyncio.gather(*shop.till._later)
        assert await shop.purse() == (1, 1000, turns, 0)
    assert await shop.rows("SELECT calls, cost FROM usage") == [(39, 39)]
    await shop.assert_idle()


async def test_what_cannot_be_settled_now_is_settled_when_the_storage_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentops.money.till.PAUSE_SECONDS", 0.01)
    storage = Faulty(path=str(tmp_path / "agentops.sqlite"))
    async with open_shop(storage) as shop:
        await shop.till.hold("c", [want(60)], 0)
        storage.error = Unavailable("away")
        with pytest.raises(Unavailable):
            await shop.till.settle(a_record("c", 25), {BUDGET: 25}, [event("e")])
        await shop.till.release("c")
        await until(lambda: "settlement.postponed" in [name for name, *_ in shop.told.events])
        storage.error = None
        await asyncio.gather(*shop.till._later)
        assert await shop.purse() == (1, 100, 25, 0)
        assert len((await shop.events.page("p", "run", 0, 10))[0]) == 1


@pytest.mark.parametrize("with_events", [True, False])
async def test_a_late_settlement_whose_events_are_refused_is_still_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_events: bool
) -> None:
    class Picky(Faulty):
        async def append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
            if picky and (not with_events or any(append.events for append in batch)):
                return [TooLarge("an event is too large")] * len(batch)
            return await super().append(batch)

    picky: list[bool] = []
    monkeypatch.setattr("agentops.money.till.PAUSE_SECONDS", 0.01)
    storage = Picky(path=str(tmp_path / "agentops.sqlite"))
    async with open_shop(storage) as shop:
        await shop.till.hold("c", [want(60)], 0)
        storage.error = Unavailable("away")
        with pytest.raises(Unavailable):
            await shop.till.settle(a_record("c", 25), {BUDGET: 25}, [event("e")])
        await until(lambda: "settlement.postponed" in [name for name, *_ in shop.told.events])
        picky.append(True)
        storage.error = None
        await asyncio.gather(*shop.till._later)
        assert "settlement.refused" in [name for name, *_ in shop.told.events]
        assert shop.till._living == {}
        assert await shop.purse() == ((1, 100, 25, 0) if with_events else (1, 100, 0, 60))


async def test_a_hold_of_which_nobody_knows_whether_it_was_made_is_given_back(tmp_path: Path) -> None:
    class Lost(Faulty):
        async def append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
            answers = await super().append(batch)
            if not lost:
                lost.append(True)
                raise Unavailable("lost", code="outcome_unknown")
            return answers

    lost: list[bool] = []
    async with open_shop(Lost(path=str(tmp_path / "agentops.sqlite"))) as shop:
        with pytest.raises(Unavailable):
            await shop.till.hold("c", [want(60)], 0)
        await asyncio.gather(*shop.till._later)
        assert await shop.purse() == (1, 100, 0, 0)
        await shop.assert_idle()
