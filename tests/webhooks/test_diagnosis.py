"""What the doctor says of webhooks at which nothing arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentops.accounts.audit import Origin
from agentops.core.records import now_ms
from agentops.plugins.features.webhooks import diagnosis
from agentops.plugins.features.webhooks.outbox import Attempt, Notice, Outbox
from agentops.plugins.features.webhooks.subscriptions import Subscriptions

if TYPE_CHECKING:
    import pytest

    from agentops.core.ports.storage import Storage


async def test_what_does_not_arrive_is_found(storage: Storage[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    subscriptions, box = Subscriptions(storage), Outbox(storage, "one")
    one = await subscriptions.create(Origin("p", "ada"), "https://a.example/", ["run.stalled"], "standard", "")
    await box.tell([Notice("run.stalled", {"run": name}) for name in ("parked", "waits")])
    assert await diagnosis.undelivered(storage) == []

    first = await box.first(one.id)
    assert first is not None
    await box.note(first, Attempt(now_ms(), 1.0, 500, "answered 500"), "parked")
    await subscriptions.give_up(one, "its target answered 410: it is gone")
    found = [(weight, problem.what) for weight, problem in await diagnosis.undelivered(storage)]
    assert found == [
        ("risk", f"{one.id}: 1 messages were given up this week"),
        ("risk", f"{one.id} is stopped: its target answered 410: it is gone"),
    ]

    await subscriptions.change(Origin("p", "ada"), one.id, {"disabled_at": None, "disabled_because": None})
    monkeypatch.setattr(diagnosis, "LATE_MS", -1000)
    weight, problem = next(iter(await diagnosis.undelivered(storage)))
    assert (weight, problem.what) == ("failing", f"{one.id}: 1 messages have waited for long")
