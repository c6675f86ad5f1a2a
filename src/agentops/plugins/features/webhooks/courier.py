"""Delivers what is in the outbox: each webhook's in order, several webhooks at once."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agentops.core.errors import Unavailable
from agentops.core.forever import ended
from agentops.core.records import now_ms

if TYPE_CHECKING:
    from agentops.core.signals import Signals
    from agentops.plugins.features.webhooks.outbox import Attempt, Delivery, Outbox, State
    from agentops.plugins.features.webhooks.sending import Sender
    from agentops.plugins.features.webhooks.subscriptions import Subscriptions, Webhook

LOOK_SECONDS: Final = 1.0
AT_ONCE: Final = 64
TURN_SECONDS: Final = 30.0
"""For how long one webhook may be served while others wait for one of the `AT_ONCE` places."""
RELEASE_SECONDS: Final = 1.0
GONE: Final = 410


class Courier:
    """Its step is one look at what is due; what is being delivered goes on beside it."""

    def __init__(
        self,
        outbox: Outbox,
        subscriptions: Subscriptions,
        sender: Sender,
        signals: Signals,
    ) -> None:
        self._outbox = outbox
        self._subscriptions = subscriptions
        self._sender = sender
        self._signals = signals
        self._served: dict[str, asyncio.Task[None]] = {}
        self._served_at: dict[str, float] = {}

    async def step(self) -> None:
        now = now_ms()
        heads = {head.webhook: head for head in await self._outbox.heads()}
        self._served_at = {webhook: at for webhook, at in self._served_at.items() if webhook in heads}
        due = [webhook for webhook, head in heads.items() if head.is_due(now) and webhook not in self._served]
        due.sort(key=lambda webhook: self._served_at.get(webhook, 0.0))
        for webhook in due[: AT_ONCE - len(self._served)]:
            self._served[webhook] = asyncio.create_task(self._serve(webhook), name=f"agentops webhook {webhook}")
        await asyncio.sleep(LOOK_SECONDS)

    async def end(self) -> None:
        """Stop in the middle: what was not noted is sent again, by whoever is next.

        A claim that cannot be given back lapses; nobody waits for a database that is away.
        """
        broken_off = list(self._served.values())
        await ended(*broken_off)
        if broken_off:
            with suppress(TimeoutError, Unavailable):
                async with asyncio.timeout(RELEASE_SECONDS):
                    await self._outbox.release()

    async def _serve(self, webhook: str) -> None:
        until = time.monotonic() + TURN_SECONDS
        try:
            while time.monotonic() < until and await self._outbox.claim(webhook):
                delivery = await self._outbox.first(webhook)
                if delivery is None or not delivery.is_due(now_ms()) or not await self._deliver(delivery):
                    break
            await self._outbox.release(webhook)
        except Exception as error:  # noqa: BLE001 - a storage that is away; the next look tries again
            self._signals.event("webhook.postponed", "warning", webhook=webhook, reason=type(error).__name__)
        finally:
            self._served_at[webhook] = time.monotonic()
            self._served.pop(webhook)

    async def _deliver(self, delivery: Delivery) -> bool:
        """Whether the next one may follow at once: also behind one that is given up."""
        webhook = await self._subscriptions.by_id(delivery.webhook)
        if webhook is None:
            return False
        message = f"msg_{delivery.id}_{delivery.at:x}"
        attempt = await self._sender.send(webhook, message, delivery.kind, delivery.at, delivery.data)
        state = delivery.state_after(now_ms(), is_delivered=attempt.is_delivered)
        await self._outbox.note(delivery, attempt, state)
        if not attempt.is_delivered:
            self._tell(webhook, delivery, attempt, state)
        if attempt.status == GONE:
            self._signals.event("webhook.ended", "warning", webhook=webhook.id, host=webhook.host, reason="it is gone")
            await self._subscriptions.give_up(webhook, f"its target answered {GONE}: it is gone")
        return state != "waiting"

    def _tell(self, webhook: Webhook, delivery: Delivery, attempt: Attempt, state: State) -> None:
        self._signals.event(
            "webhook.parked" if state == "parked" else "webhook.failed",
            "error" if state == "parked" else "warning",
            webhook=webhook.id,
            host=webhook.host,
            delivery=delivery.id,
            kind=delivery.kind,
            attempt=delivery.attempts + 1,
            reason=attempt.error,
        )
