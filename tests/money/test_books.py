"""Whatever becomes of the processes, the books balance to the micro-dollar."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from tests.money.clerk import storage_at
from tests.money.parts import Shop, open_shop

if TYPE_CHECKING:
    from pathlib import Path

LIVES = 2
AT_ONCE = 2


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "agentops.sqlite")
    return str(request.getfixturevalue("postgres_url"))


async def live(place: str, seed: int) -> None:
    """A process that is killed in the middle of its calls."""
    arguments = ("-m", "tests.money.clerk", place, str(seed))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"busy\n"
    await asyncio.sleep(0.05 * (seed % 7))
    process.kill()
    await process.wait()


async def assert_balanced(shop: Shop) -> None:
    await shop.assert_idle()
    spent = dict(await shop.rows("SELECT subject, sum(cost) FROM calls GROUP BY subject"))
    for purse, used in await shop.rows("SELECT id, spent FROM purses WHERE id LIKE 'credits:%'"):
        assert used == int(spent[purse.removeprefix("credits:p/")])
    ((month,),) = await shop.rows("SELECT spent FROM purses WHERE id = 'project:p:month'")
    ((cost, calls),) = await shop.rows("SELECT sum(cost), sum(calls) FROM usage")
    assert (month, int(cost)) == (sum(map(int, spent.values())),) * 2
    assert await shop.rows("SELECT count(*) FROM calls") == [(int(calls),)]
    assert await shop.rows("SELECT count(*) FROM calls WHERE cost > 0") == await shop.rows(
        "SELECT count(*) FROM ledger WHERE kind = 'call'"
    )
    started = await shop.rows("SELECT subject FROM ledger WHERE kind = 'start'")
    assert len(started) == len(set(started))
    assert await shop.rows("SELECT count(*) FROM events") == [(int(calls),)]
    assert await shop.rows("SELECT count(*) FROM audit") == await shop.rows(
        "SELECT count(*) FROM ledger WHERE kind = 'grant'"
    )
    assert await shop.rows("SELECT id FROM purses WHERE spent > size") == []
    entries = await shop.rows("SELECT subject, amount, balance_before, balance_after FROM ledger ORDER BY id")
    balances = dict.fromkeys([entry[0] for entry in entries], 0)
    for subject, amount, before, after in entries:
        assert (balances[subject], before + amount) == (before, after)
        balances[subject] = after


async def test_the_books_balance_after_kills_in_the_middle(place: str) -> None:
    async with open_shop(storage_at(place), 3600) as shop:
        left_behind = 0
        for number in range(LIVES):
            await asyncio.gather(*(live(place, 1 + number * AT_ONCE + n) for n in range(AT_ONCE)))
            left_behind += len(await shop.rows("SELECT id FROM holds"))
        assert left_behind, "nobody was killed in the middle of a call"
        while await shop.rows("SELECT id FROM holds"):
            await shop.till._upkeep.sweep()
            await asyncio.sleep(0.05)
        await assert_balanced(shop)
