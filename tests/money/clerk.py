"""A process that makes calls at random, until it is killed: `python -m tests.money.clerk STORAGE SEED`."""

from __future__ import annotations

import asyncio
import sys
from random import Random
from typing import TYPE_CHECKING, Any, Final

from agentops.accounts.audit import Origin
from agentops.core.errors import Refusal
from agentops.core.secret import Secret
from agentops.money.purses import of_credits
from agentops.plugins.storage.postgres import Postgres, PostgresSettings
from agentops.plugins.storage.sqlite import Sqlite, SqliteSettings
from tests.core.eventlog.faulty import event
from tests.money.parts import Shop, a_record, open_shop, want

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage

SUBJECTS: Final = ("u", "v", "w")
START: Final = 2_000
WORKERS: Final = 12
HOLD_SECONDS: Final = 1.0


def storage_at(place: str) -> Storage[Any]:
    if place.startswith("postgres"):
        return Postgres(PostgresSettings(url=Secret(place), pool_size=2))
    return Sqlite(SqliteSettings(path=place))


async def one_call(shop: Shop, random: Random, call: str) -> None:
    subject = random.choice(SUBJECTS)
    purse = of_credits("p", subject)
    wants = [
        want(random.randrange(1, 60), None, purse, 0, waits=random.random() < 0.5),
        want(random.randrange(1, 60), 100_000, "project:p:month"),
        want(1, WORKERS // 2, f"key:{subject}:parallel", 0, waits=True),
    ]
    held = await shop.till.hold(call, wants, 0.2)
    await asyncio.sleep(random.choice((0, 0, 0.002)))
    if random.random() < 0.2:
        await shop.till.release(call)
        return
    cost = random.randrange(held[purse] + 1)
    record = a_record(call, cost, subject=subject)
    await shop.till.settle(record, {purse: cost, "project:p:month": cost}, [event("called", call)])


async def work(shop: Shop, random: Random, name: str) -> None:
    for number in range(10_000):
        try:
            if random.random() < 0.1:
                origin = Origin("p", "clerk")
                await shop.till.grant(origin, random.choice(SUBJECTS), random.randrange(-200, 400) or 1, str(number))
            else:
                await one_call(shop, random, f"{name}-{number}")
        except Refusal:
            continue
        if number == 5:
            sys.stdout.write("busy\n")
            sys.stdout.flush()


async def main(place: str, seed: int) -> None:
    random = Random(seed)
    async with open_shop(storage_at(place), HOLD_SECONDS, starting_credits=START) as shop:
        await asyncio.gather(*(work(shop, random, f"{seed}-{number}") for number in range(WORKERS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
