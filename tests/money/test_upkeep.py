"""What goes on beside the calls: holds live as long as their calls, and end with those who died."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentops.core.records import DAY_MS, now_ms
from tests.core.parts import until
from tests.money.parts import BUDGET, Shop, a_record, open_shop, want

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.core.ports.storage import Storage


async def expire(shop: Shop) -> None:
    """Nobody renews any more: as if the process had died, and the time had passed."""
    async with shop.storage.write() as connection:
        await connection.exec_driver_sql("UPDATE holds SET expires_at = 1")


async def test_what_the_dead_held_is_given_back_by_others(make_storage: Callable[[], Storage[Any]]) -> None:
    async with open_shop(make_storage()) as dead, open_shop(make_storage()) as other:
        await dead.till.hold("c", [want(60), want(1, 5, "key:k:parallel", 0)], 0)
        await other.till.hold("d", [want(10)], 0)
        waiting = asyncio.create_task(other.till.hold("e", [want(90, waits=True)], 60))
        await until(lambda: BUDGET in other.till._lines)
        async with dead.storage.write() as connection:
            await connection.exec_driver_sql("UPDATE holds SET expires_at = 1 WHERE call = 'c'")
        assert await other.till._upkeep.sweep() == 1
        assert await waiting == {BUDGET: 90}
        assert await other.purse() == (1, 100, 0, 100)
        assert await other.purse("key:k:parallel") == (0, 5, 0, 0)
        assert await other.till._upkeep.sweep() == 0


async def test_the_sweep_of_many_at_once_gives_back_once(make_storage: Callable[[], Storage[Any]]) -> None:
    async with open_shop(make_storage()) as one, open_shop(make_storage()) as two:
        for number in range(20):
            await one.till.hold(f"c{number}", [want(1), want(2, 90, "key:k:tokens")], 0)
        await expire(one)
        swept = await asyncio.gather(*(shop.till._upkeep.sweep() for shop in (one, two, one, two)))
        assert sum(swept) == 20
        await one.assert_idle()


async def test_a_call_that_was_swept_is_still_charged_and_once(shop: Shop) -> None:
    await shop.till.hold("c", [want(60)], 0)
    await expire(shop)
    await shop.till._upkeep.sweep()
    await shop.till.settle(a_record("c", 25), {BUDGET: 25})
    assert await shop.purse() == (1, 100, 25, 0)
    await shop.assert_idle()


async def test_the_hold_of_a_long_call_is_renewed(make_storage: Callable[[], Storage[Any]]) -> None:
    async with open_shop(make_storage(), hold_seconds=0.6) as shop:
        await shop.till.hold("c", [want(60)], 0)
        ((first,),) = await shop.rows("SELECT expires_at FROM holds")
        await until(lambda: now_ms() > first)
        assert await shop.till._upkeep.sweep() == 0
        assert await shop.purse() == (1, 100, 0, 60)
        await shop.till.release("c")
        await shop.assert_idle()


async def test_a_hold_that_is_young_is_not_renewed(shop: Shop) -> None:
    await shop.till.hold("c", [want(60)], 0)
    before = await shop.rows("SELECT expires_at FROM holds")
    await shop.till._upkeep.renew()
    assert await shop.rows("SELECT expires_at FROM holds") == before


async def test_very_many_holds_are_renewed(shop: Shop) -> None:
    for number in range(150):
        await shop.till.hold(f"c{number}", [want(1, 1000)], 0)
    for living in shop.till._living.values():
        living.expires_at -= 30_000
    await expire(shop)
    await shop.till._upkeep.renew()
    assert await shop.till._upkeep.sweep() == 0


async def test_old_calls_are_forgotten_and_what_they_used_is_not(make_storage: Callable[[], Storage[Any]]) -> None:
    async with open_shop(make_storage(), keep_days=3) as shop:
        for days in range(5):
            await shop.till.settle(a_record(f"c{days}", 7, at=now_ms() - days * DAY_MS + 1000), {})
        await shop.till._upkeep.forget()
        assert await shop.rows("SELECT id FROM calls ORDER BY id") == [("c0",), ("c1",), ("c2",), ("c3",)]
        assert await shop.rows("SELECT count(*), sum(cost) FROM usage") == [(5, 35)]


async def test_without_days_to_keep_calls_stay(shop: Shop) -> None:
    assert "calls.ageing" not in shop.till._upkeep.steps
