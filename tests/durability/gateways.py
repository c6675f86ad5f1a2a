"""Gateways as operators run them, whoever calls them, and what their books must say afterwards."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from agentops.accounts.audit import Origin
from agentops.accounts.keys import Keys
from agentops.accounts.wanted_key import Granter, Wanted
from agentops.core.allowance import Allowance
from agentops.core.rungs import Rungs
from agentops.money import purses
from agentops.testing.provider import FIELD
from agentops.testing.server import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from random import Random

    from agentops.core.ports.storage import Storage
    from tests.durability.apps import Database
    from tests.durability.wire import Address

CHAT: Final = "/api/llm/chat/completions"
HOLD_SECONDS: Final = 3.0
BUDGET: Final = 50_000_000
PAUSE_SECONDS: Final = 0.02
"""Between two tries to reach a server that is not there."""

FAULTS: Final[Sequence[dict[str, Any]]] = (
    *[{}] * 6,
    {"no_usage": True},
    {"then": "cut"},
    {"then": "cut", "after": 3},
    {"then": "error", "after": 2},
    {"status": 500},
)
"""What a call may meet."""

_CONFIG: Final = """
[storage]
use = "{storage}"
{place} = "{where}"

[telemetry.metrics]
use = "prometheus"

[auth.keys]
use = "hashed-keys"

[models.fake]
use = "openai"
base_url = "{provider}/v1"
key = "sk-ours"
connections = 3000

[features.gateway]
hold_seconds = {hold_seconds}
bytes_in_flight = {bytes_in_flight}

[features.gateway.models.small]
targets = [{{ provider = "fake" }}]

[[features.gateway.prices]]
provider = "fake"
model = "small"
input = 1_000_000
output = 3_000_000

[features.gateway.credits]
starting = {budget}

[lanes.api]
path = "/api"
auth = ["keys"]
serve = ["runs", "gateway", "operations"]
"""


@asynccontextmanager
async def fake_provider(*options: str) -> AsyncIterator[str]:
    """The address of one in a process of its own."""
    command = ("-m", "agentops.testing.provider", *options)
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE)
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.communicate()


def configure(folder: Path, database: Database, provider: str, *, bytes_in_flight: int = 1 << 28) -> Path:
    """Make a folder in which `agentops serve` serves a gateway."""
    folder.mkdir(exist_ok=True)
    text = _CONFIG.format(
        storage=database.storage,
        place="path" if database.storage == "sqlite" else "url",
        where=database.place,
        provider=provider,
        hold_seconds=HOLD_SECONDS,
        bytes_in_flight=bytes_in_flight,
        budget=BUDGET,
    )
    (folder / "agentops.toml").write_text(text)
    return folder


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Storage[Any]]:
    storage = database.opened()
    await storage.migrate()
    async with storage.life(Rungs()):
        yield storage


async def keys_in(storage: Storage[Any], *owners: str) -> list[str]:
    """A key for each, with a budget."""
    allowance = Allowance(budget_day=BUDGET)
    permissions = ["llm:call", "operations:read"]
    granter = Granter({"*"}, {*permissions})
    made = [
        await Keys(storage, "ak_").create(
            Origin("default", "boss"), Wanted(owner, "test", 90, permissions, llm=allowance), granter
        )
        for owner in owners
    ]
    return [text for _, text in made]


class Caller:
    """Calls one server, streamed or not, again and again, whatever becomes of it."""

    def __init__(self, address: Address, key: str, random: Random) -> None:
        self.wholes: dict[str, int] = {}
        """What each call cost that was answered at once, by its id."""
        self.streams = 0
        """How many came with their end."""
        self.statuses: Counter[int] = Counter()
        self.cut = 0
        self._url = f"http://{address[0]}:{address[1]}"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._random = random
        self._stopping = False

    @property
    def answered(self) -> int:
        return len(self.wholes) + self.streams

    def stop(self) -> None:
        """Let the call end that is under way."""
        self._stopping = True

    async def run(self) -> None:
        async with client_of(self._url) as client:
            while not self._stopping:
                try:
                    await self._call(client)
                except httpx.TransportError:
                    self.cut += 1
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _call(self, client: httpx.AsyncClient) -> None:
        streamed = self._random.random() < 0.7
        text = "word " * self._random.randint(1, 30)
        body: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": text}], "stream": streamed}
        if self._random.random() < 0.5:
            body["max_tokens"] = self._random.randint(1, 20)
        body[FIELD] = self._random.choice(FAULTS)
        async with client.stream("POST", CHAT, json=body, headers=self._headers) as answer:
            self.statuses[answer.status_code] += 1
            said = await answer.aread()
        if not answer.is_success:
            return
        if streamed:
            self.streams += said.endswith(b"data: [DONE]\n\n")
        else:
            metadata = answer.json()["_metadata"]
            self.wholes[metadata["transaction_id"]] = metadata["cost_incurred"]


class Row(NamedTuple):
    id: str
    at: int
    subject: str
    credential: str
    outcome: str
    cost: int


async def calls_in(storage: Storage[Any]) -> list[Row]:
    query = "SELECT id, at, subject, credential, outcome, cost FROM calls"
    return [Row(*row) for row in await storage.read_rows(query)]


async def nothing_is_held(storage: Storage[Any]) -> None:
    """Return once what the dead held has expired."""
    async with asyncio.timeout(4 * HOLD_SECONDS):
        while await storage.read_rows("SELECT call FROM holds"):  # noqa: ASYNC110 - other processes do it
            await asyncio.sleep(0.05)


async def verify_books(storage: Storage[Any]) -> list[Row]:
    """Every micro-dollar that was charged is that of one call, in each place where it is kept."""
    calls = await calls_in(storage)
    assert [*await storage.read_rows("SELECT call FROM holds")] == []
    assert [*await storage.read_rows("SELECT id FROM purses WHERE held <> 0 OR spent > size")] == []
    of_subject, of_key = defaultdict[str, int](int), defaultdict[tuple[str, int], int](int)
    for call in calls:
        of_subject[call.subject] += call.cost
        of_key[call.credential, purses.day(call.at)] += call.cost
    for purse, period, size, spent in await storage.read_rows("SELECT id, period, size, spent FROM purses"):
        whose = purses.whose_credits(purse)
        if whose is None:
            assert spent == of_key[purse.removesuffix(":day"), period]
        else:
            assert spent == of_subject[whose[1]]
            assert size - spent == await _total_in_ledger(storage, whose[1])
    charged = [*await storage.read_rows("SELECT call FROM ledger WHERE kind = 'call'")]
    assert sorted(call for (call,) in charged) == sorted(call.id for call in calls if call.cost)
    ((cost, count),) = await storage.read_rows("SELECT sum(cost), sum(calls) FROM usage")
    assert (int(cost), int(count)) == (sum(call.cost for call in calls), len(calls))
    return calls


async def _total_in_ledger(storage: Storage[Any], subject: str) -> int:
    """With each entry beginning where the one before it ended."""
    query = "SELECT amount, balance_before, balance_after FROM ledger WHERE subject = ? ORDER BY id"
    balance = 0
    for amount, before, after in await storage.read_rows(query, subject):
        assert (before, after) == (balance, balance + amount)
        balance = after
    return balance
