"""When something is due, when it is given up, and whose it is to deliver; whatever the clock does."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops.accounts.audit import Origin
from agentops.core.records import DAY_MS, now_ms
from agentops.plugins.features.webhooks import outbox
from agentops.plugins.features.webhooks.outbox import CLAIM_MS, DELAYS, Attempt, Delivery, Notice, Outbox
from agentops.plugins.features.webhooks.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentops.core.ports.storage import Storage
    from agentops.plugins.features.webhooks.subscriptions import Webhook

NOW = 1_800_000_000_000
HOUR_MS = 60 * 60 * 1000


def delivery(attempts: int, tried_at: int | None, at: int = NOW) -> Delivery:
    return Delivery(1, "whk", "run.failed", "{}", at, "waiting", attempts, tried_at, [])


def test_the_pauses_are_a_day_in_all() -> None:
    assert 23 * HOUR_MS < sum(DELAYS) * 1000 <= DAY_MS
    assert list(DELAYS) == sorted(DELAYS)


@pytest.mark.parametrize("attempts", range(1, len(DELAYS) + 1))
def test_it_is_due_when_its_pause_is_over(attempts: int) -> None:
    pause = DELAYS[attempts - 1] * 1000
    tried = delivery(attempts, NOW)
    assert not tried.is_due(NOW + pause - 1)
    assert tried.is_due(NOW + pause)


def test_a_clock_that_jumps_back_delays_nothing_for_long() -> None:
    tried = delivery(1, NOW)
    assert tried.is_due(NOW - HOUR_MS)
    assert not tried.is_due(NOW - 1000)


def test_what_was_never_tried_is_due() -> None:
    assert delivery(0, None).is_due(NOW)


def test_it_is_given_up_after_a_day_or_all_its_attempts() -> None:
    assert delivery(0, None).state_after(NOW, is_delivered=True) == "delivered"
    assert delivery(0, None).state_after(NOW, is_delivered=False) == "waiting"
    assert delivery(len(DELAYS) - 1, NOW).state_after(NOW, is_delivered=False) == "waiting"
    assert delivery(len(DELAYS), NOW).state_after(NOW, is_delivered=False) == "parked"
    assert delivery(0, None, at=NOW - DAY_MS).state_after(NOW, is_delivered=False) == "parked"
    assert delivery(0, None, at=NOW + HOUR_MS).state_after(NOW, is_delivered=False) == "waiting"


@pytest_asyncio.fixture
async def webhook(storage: Storage[Any]) -> Webhook:
    return await Subscriptions(storage).create(
        Origin("default", "ada"), "https://example.com/", ["run.stalled"], "standard", ""
    )


async def test_a_claim_keeps_others_away_until_it_lapses(
    storage: Storage[Any], webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Outbox(storage, "one"), Outbox(storage, "two")
    assert await one.claim(webhook.id)
    assert await one.claim(webhook.id)
    assert not await two.claim(webhook.id)
    await two.release(webhook.id)
    assert not await two.claim(webhook.id)
    now = now_ms()
    for jump in (CLAIM_MS + 1000, -CLAIM_MS - 1000):
        monkeypatch.setattr(outbox, "now_ms", lambda: now)
        assert await one.claim(webhook.id)
        monkeypatch.setattr(outbox, "now_ms", lambda jump=jump: now + jump)
        assert await two.claim(webhook.id), jump
        await two.release()
    assert await one.claim(webhook.id)
    await one.release()
    assert await two.claim(webhook.id)


async def test_what_is_told_once_is_not_told_again(storage: Storage[Any], webhook: Webhook) -> None:
    box = Outbox(storage, "one")
    twice = [Notice("run.stalled", {"run": "a"}, "default", "run.stalled 1 1")] * 2
    await box.tell(twice)
    await box.tell(twice)
    await box.tell([Notice("run.stalled", {"run": "b"}, "elsewhere"), Notice("key.created", {})])
    await box.tell([Notice("run.stalled", {"run": "c"})])
    found = await box.page(webhook, 10, None, None)
    assert [each.data for each in found] == ['{"run":"c"}', '{"run":"a"}']


async def test_whoever_was_asleep_notes_nothing_over_what_another_did(storage: Storage[Any], webhook: Webhook) -> None:
    """A process that stood still for longer than its claim goes on in the middle of an attempt."""
    asleep, other = Outbox(storage, "asleep"), Outbox(storage, "other")
    await asleep.tell([Notice("run.stalled", {})])
    seen = await asleep.first(webhook.id)
    assert seen is not None
    await other.note(seen, Attempt(NOW, 1.0, 200), "delivered")
    await asleep.note(seen, Attempt(NOW, 1.0, None, "no answer"), "waiting")
    (kept,) = await other.page(webhook, 10, None, None)
    assert (kept.state, kept.attempts, [attempt.status for attempt in kept.log]) == ("delivered", 1, [200])


async def test_what_is_told_once_is_not_told_again_when_lists_are_cleared(
    storage: Storage[Any], webhook: Webhook
) -> None:
    """A run that is silent for months, and a list that goes back a day."""
    box = Outbox(storage, "one")
    silence = [Notice("run.stalled", {"run": "a"}, "default", "run.stalled 1 1")]
    await box.tell(silence)
    first = await box.first(webhook.id)
    assert first is not None
    await box.note(first, Attempt(NOW, 1.0, 200), "delivered")
    await box.forget(first.at + DAY_MS)
    await box.tell(silence)
    assert [each.state for each in await box.page(webhook, 10, None, None)] == ["delivered"]
    await box.forget(first.at + 401 * DAY_MS)
    assert await box.page(webhook, 10, None, None) == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [({"why": OSError("gone")}, "OSError('gone')"), ({"why": "\ud800"}, "ud800"), ({"why": {1j: 2}}, "1j")],
    ids=["an error", "half a letter", "no key of JSON"],
)
async def test_whatever_is_said_can_be_told(
    storage: Storage[Any], webhook: Webhook, said: dict[str, object], kept: str
) -> None:
    box = Outbox(storage, "one")
    await box.tell([Notice("run.stalled", said)])
    (told,) = await box.page(webhook, 10, None, None)
    assert kept in told.data


async def test_what_waits_is_never_forgotten(storage: Storage[Any], webhook: Webhook) -> None:
    box = Outbox(storage, "one")
    await box.tell([Notice("run.stalled", {"run": name}) for name in ("waits", "went")])
    _, went = reversed(await box.page(webhook, 10, None, None))
    await box.note(went, Attempt(NOW, 1.0, 200), "delivered")
    await box.forget(now_ms() + DAY_MS)
    assert [each.data for each in await box.page(webhook, 10, None, None)] == ['{"run":"waits"}']
    assert await box.waiting() == 1


async def test_much_is_forgotten_a_little_at_a_time(
    storage: Storage[Any], webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored meanwhile would wait for the whole."""
    box = Outbox(storage, "one")
    await box.tell([Notice("run.stalled", {})] * 5)
    while (first := await box.first(webhook.id)) is not None:
        await box.note(first, Attempt(NOW, 1.0, 200), "delivered")
    left: list[int] = []
    write = storage.write

    @asynccontextmanager
    async def counted() -> AsyncIterator[Any]:
        async with write() as connection:
            yield connection
        left.append(len(await box.page(webhook, 10, None, None)))

    monkeypatch.setattr(storage, "write", counted)
    monkeypatch.setattr(outbox, "FORGOTTEN_AT_ONCE", 2)
    await box.forget(now_ms() + DAY_MS)
    assert left[:3] == [3, 1, 0]


async def test_the_log_of_one_delivery_has_an_end(storage: Storage[Any], webhook: Webhook) -> None:
    box = Outbox(storage, "one")
    await box.tell([Notice("run.stalled", {})])
    for number in range(30):
        first = await box.first(webhook.id)
        assert first is not None
        await box.note(first, Attempt(number, 1.0, 500, "answered 500"), "waiting")
    last = await box.first(webhook.id)
    assert last is not None
    assert [attempt.at for attempt in last.log] == list(range(10, 30))
