"""What is noticed rather than done: silence, an end that comes near, refusals, ill health."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import update

from agentops.core.health import HealthChecks
from agentops.core.ports.health import Health
from agentops.core.records import DAY_MS, now_ms
from agentops.plugins.bus.memory import Memory
from agentops.plugins.features.gateway import Gateway
from agentops.plugins.models.fixture import Fixture
from agentops.sql.tables import keys
from tests.webhooks.client import OPERATOR, STRANGER, deliveries, operated, settled, subscribe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentops import Kit
    from agentops.core.ports.storage import Storage
    from agentops.testing.server import LiveServer
    from tests.webhooks.receiver import Receiver

SILENT = 1.0


async def start(server: LiveServer, run: str, events: int = 1) -> None:
    await server.client.post("/api/runs", json={"id": run})
    for _ in range(events):
        await server.client.post(f"/api/runs/{run}/events", json={"type": "step", "payload": {}})


async def test_a_silent_run_is_told_once_for_each_silence(kit_of: Callable[..., Kit], receiver: Receiver) -> None:
    async with operated(kit_of(stalled_minutes=SILENT / 60)) as server:
        webhook = await subscribe(server, receiver.url, "run.stalled")
        await start(server, "ended")
        await server.client.patch("/api/runs/ended", json={"status": "completed"})
        await start(server, "silent")
        await start(server, "never spoke", events=0)
        began = time.monotonic()
        told = await receiver.has(2)
        assert time.monotonic() - began > SILENT / 2
        assert {each.json["data"]["run"] for each in told} == {"silent", "never spoke"}
        assert {each.json["data"]["silentSeconds"] for each in told} == {SILENT}
        await start(server, "silent")
        assert (await receiver.has(3))[2].json["data"]["run"] == "silent"
    async with operated(kit_of(stalled_minutes=SILENT / 60)) as server:
        await start(server, "later")
        assert (await receiver.has(4))[3].json["data"]["run"] == "later"
        assert len(await deliveries(server, webhook)) == 4


async def test_with_no_minutes_no_run_is_silent(kit_of: Callable[..., Kit], receiver: Receiver) -> None:
    async with operated(kit_of(stalled_minutes=0)) as server:
        await subscribe(server, receiver.url, "run.stalled", "auth.refused_burst")
        await start(server, "silent")
        for _ in range(100):
            await server.client.get("/api/runs", headers={"x-api-key": "wrong"})
        assert (await receiver.has(1))[0].json["type"] == "auth.refused_burst"


async def test_a_run_that_speaks_is_not_silent(kit_of: Callable[..., Kit], receiver: Receiver) -> None:
    async with operated(kit_of(stalled_minutes=SILENT / 60)) as server:
        await subscribe(server, receiver.url, "run.stalled")
        await start(server, "silent")
        speaking = asyncio.create_task(_speak(server))
        assert (await receiver.has(1))[0].json["data"]["run"] == "silent"
        speaking.cancel()
        assert len(receiver.received) == 1


async def test_silence_can_be_told_never(kit_of: Callable[..., Kit], receiver: Receiver) -> None:
    """A budget is told before silence is looked for, and the second only once that look is over."""
    kit = kit_of(stalled_minutes=0)
    async with operated(kit) as server:
        webhook = await subscribe(server, receiver.url, "run.stalled", "budget.reached")
        await start(server, "silent")
        for number in (1, 2):
            kit._signals.event("budget.reached", budget=number)
            await receiver.has(number)
        assert [each["event"] for each in await deliveries(server, webhook)] == ["budget.reached"] * 2


async def _speak(server: LiveServer) -> None:
    while True:
        await start(server, "speaking")
        await asyncio.sleep(SILENT / 10)


async def test_a_key_that_is_about_to_expire_is_told_once(
    kit_of: Callable[..., Kit], storage_of: Callable[[], Storage[Any]], receiver: Receiver
) -> None:
    kit = kit_of()
    async with operated(kit) as server:
        webhook = await subscribe(server, receiver.url, "key.expiring", "key.created")
        path = "/api/admin/users/ada/api-keys"
        made = [
            (await server.client.post(path, json={"name": name, "permissions": [], "expires_in_days": days})).json()
            for name, days in (("long", 90), ("short", 3), ("revoked", 90))
        ]
        await server.client.delete(f"{path}/{made[2]['key_id']}")
        await receiver.has(3)
        now = now_ms()
        long = keys.c.name != "short"
        async with kit.deployment.storage.write() as connection:
            await connection.execute(update(keys).where(long).values(created_at=now - 88 * DAY_MS))
            await connection.execute(update(keys).values(expires_at=now + 2 * DAY_MS))
        got = (await receiver.has(4))[3].json
        assert (got["type"], got["data"]["name"], got["data"]["key_id"]) == ("key.expiring", "long", made[0]["key_id"])
    async with operated(kit_of()) as server:
        await server.client.post(path, json={"name": "another", "permissions": []})
        await receiver.has(5)
        told = [each["event"] for each in await deliveries(server, webhook)]
        assert told == ["key.created", "key.expiring", *["key.created"] * 3]


async def test_a_burst_of_refusals_is_told_once(kit_of: Callable[..., Kit], receiver: Receiver) -> None:
    async with operated(kit_of(refused_burst=5)) as server:
        webhook = await subscribe(server, receiver.url, "auth.refused_burst", "key.created")
        for _ in range(4):
            await server.client.get("/api/runs", headers={"x-api-key": "wrong"})
        await server.client.post("/api/admin/users/ada/api-keys", json={"name": "between", "permissions": []})
        await receiver.has(1)
        for _ in range(20):
            await server.client.get("/api/runs", headers={"x-api-key": "wrong"})
        got = (await receiver.has(2))[1].json
        assert got["type"] == "auth.refused_burst"
        assert {"lane": "api", "refused": 5, "seconds": 60}.items() <= got["data"].items()
        await server.client.post("/api/admin/users/ada/api-keys", json={"name": "after", "permissions": []})
        await receiver.has(3)
        assert [each["event"] for each in await deliveries(server, webhook)].count("auth.refused_burst") == 1


async def test_ill_health_is_told_and_its_end(
    kit_of: Callable[..., Kit], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ailing(Memory):
        critical = True
        answer = Health()

        async def health(self) -> Health:
            return self.answer

    monkeypatch.setitem(cast("dict[str, Any]", HealthChecks.__init__.__kwdefaults__), "kept_seconds", 0.0)
    bus = Ailing()
    async with operated(kit_of(bus)) as server:
        await subscribe(server, receiver.url, "health.changed")
        bus.answer = Health("unhealthy", {"reason": "it is away"})
        got = (await receiver.has(1))[0].json["data"]
        assert {"component": "bus", "status": "unhealthy", "reason": "it is away"}.items() <= got.items()
        bus.answer = Health()
        got = (await receiver.has(2))[1].json["data"]
        assert (got["component"], got["status"]) == ("bus", "healthy")


async def test_the_servers_own_news_are_for_one_project(kit_of: Callable[..., Kit], receiver: Receiver) -> None:
    async with operated(kit_of(refused_burst=1, project="other")) as server:
        await subscribe(server, receiver.url, "auth.refused_burst", description="of whoever rents a room here")
        server.client.headers.update(STRANGER)
        await subscribe(server, receiver.url, "auth.refused_burst", format="slack")
        await server.client.get("/api/runs", headers={"x-other-key": "", "x-api-key": "wrong"})
        await receiver.has(1)
        server.client.headers.update({**OPERATOR, "x-other-key": ""})
        (mine,) = (await server.client.get("/api/webhooks")).json()["webhooks"]
        assert await deliveries(server, mine) == []
    assert [got.json.keys() for got in receiver.received] == [{"text"}]


async def test_a_budget_that_is_used_up_is_told_once(
    kit_of: Callable[..., Kit], receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "dear.json").write_text('{"text": "Hello", "usage": {"input": 60, "output": 0}}')
    gateway = Gateway(
        models={"small": {"targets": [{"provider": "files"}]}},
        prices=[{"provider": "files", "model": "small", "input": 1_000_000, "output": 0}],
        projects={"default": {"budget_day": 100}},
    )
    async with operated(kit_of(beside=[gateway], models={"files": Fixture(path=str(tmp_path / "answers"))})) as server:
        webhook = await subscribe(server, receiver.url, "budget.reached")
        asked = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}
        answers = [(await server.client.post("/api/llm/chat/completions", json=asked)).status_code for _ in range(3)]
        assert answers == [200, 200, 429]
        got = (await receiver.has(1))[0].json
        assert got["type"] == "budget.reached"
        assert got["data"].items() >= {"purse": "project:default:day", "size": 100, "project": "default"}.items()
        assert len(await settled(server, webhook, "delivered")) == 1
