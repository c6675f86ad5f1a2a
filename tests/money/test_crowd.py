"""Many calls at once against one purse: never more is spent than there is, and none is refused that fits."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.errors import TooManyRequests
from tests.core.parts import until
from tests.money.parts import BUDGET, CREDITS, Shop, a_record, open_shop, want

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agentops.core.ports.storage import Storage
    from agentops.money.wants import Want

CALLS = 200


@pytest.fixture
async def shops(make_storage: Callable[[], Storage[Any]]) -> AsyncIterator[list[Shop]]:
    """Two instances on one database."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_shop(make_storage())) for _ in range(2)]


async def call(shop: Shop, name: str, wants: list[Want], cost: int, seconds: float = 0) -> bool:
    """Whether it was let in; what it cost is spent of the first."""
    try:
        await shop.till.hold(name, wants, 60)
    except TooManyRequests as refusal:
        if refusal.code != wants[0].refusal().code:
            raise
        return False
    await asyncio.sleep(seconds)
    await shop.till.settle(a_record(name, cost), {wants[0].purse: cost})
    return True


def in_line(shop: Shop, count: int) -> bool:
    return len(shop.till._lines._waiting.get(BUDGET, ())) == count


async def test_of_two_hundred_calls_as_many_are_let_in_as_the_budget_is_for(shops: list[Shop]) -> None:
    calls = [call(shops[n % 2], f"c{n}", [want(1), want(1, 500, f"key:{n % 7}:tokens")], 1) for n in range(CALLS)]
    assert sum(await asyncio.gather(*calls)) == 100
    assert await shops[0].purse() == (1, 100, 100, 0)
    assert await shops[0].rows("SELECT sum(cost), sum(calls) FROM usage") == [(100, 100)]
    await shops[0].assert_idle()


async def test_none_is_refused_that_fits_once_others_have_settled(shops: list[Shop]) -> None:
    """Each may cost 4 and costs 1, so that they are let in until less than 4 is left."""
    calls = [call(shops[n % 2], f"c{n}", [want(4, waits=True)], 1, 0.001 * (n % 5)) for n in range(CALLS)]
    assert sum(await asyncio.gather(*calls)) == 97
    assert await shops[0].purse() == (1, 100, 97, 0)
    await shops[0].assert_idle()


async def test_calls_that_name_no_bound_get_the_last_of_it(shops: list[Shop]) -> None:
    calls = [call(shops[n % 2], f"c{n}", [want(50, least=1, waits=True)], 1) for n in range(CALLS)]
    assert sum(await asyncio.gather(*calls)) == 100
    assert await shops[0].purse() == (1, 100, 100, 0)
    await shops[0].assert_idle()


async def test_calls_that_are_cancelled_at_any_moment_leave_nothing(shops: list[Shop]) -> None:
    random = Random(7)
    shops[0].till._start = shops[1].till._start = shops[0].till._start._replace(allocated=500)

    async def cancelled(shop: Shop, name: str) -> None:
        wants = [want(40, None, CREDITS, 0, waits=True), want(1, 20, "key:k:parallel", 0, waits=True)]
        task = asyncio.create_task(call(shop, name, wants, 1, 0.002))
        await asyncio.sleep(random.uniform(0, 0.5))
        task.cancel()
        await asyncio.wait([task])
        await shop.till.release(name)

    await asyncio.gather(*(cancelled(shops[n % 2], f"c{n}") for n in range(CALLS)))
    for shop in shops:
        await asyncio.gather(*shop.till._later)
        assert not shop.till._living
        assert not shop.till._lines._waiting
    await shops[0].assert_idle()
    ((spent,),) = await shops[0].rows("SELECT coalesce(sum(cost), 0) FROM calls")
    assert (await shops[0].purse(CREDITS))[2] == spent


async def test_first_come_is_first_served(make_storage: Callable[[], Storage[Any]]) -> None:
    async with open_shop(make_storage()) as shop:
        await shop.till.hold("first", [want(100)], 0)
        served: list[int] = []

        async def wait(number: int) -> None:
            await shop.till.hold(f"c{number}", [want(60 if number % 2 else 40, waits=True)], 60)
            served.append(number)
            await shop.till.release(f"c{number}")

        tasks = [asyncio.create_task(wait(0))]
        for number in range(1, 8):
            await until(partial(in_line, shop, number))
            tasks.append(asyncio.create_task(wait(number)))
        await shop.till.release("first")
        await asyncio.gather(*tasks)
        assert served == list(range(8))


async def test_who_waits_in_vain_may_come_again(make_storage: Callable[[], Storage[Any]]) -> None:
    async with open_shop(make_storage()) as shop:
        await shop.till.hold("first", [want(100)], 0)
        waiting = (shop.till.hold(f"c{n}", [want(1, waits=True)], 0.15) for n in range(3))
        for told in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(told, TooManyRequests)
            assert (told.code, told.headers) == ("limit_held", {"Retry-After": "1"})
        await shop.till.release("first")
        await shop.till.hold("second", [want(100)], 0)


async def test_who_waits_hears_of_room_that_another_instance_has_made(shops: list[Shop]) -> None:
    await shops[0].till.hold("first", [want(100)], 0)
    waiting = asyncio.create_task(shops[1].till.hold("second", [want(80, waits=True)], 60))
    await until(lambda: BUDGET in shops[1].till._lines)
    await shops[0].till.settle(a_record("first"), {BUDGET: 20})
    assert await waiting == {BUDGET: 80}
