"""What goes on behind the routes for as long as the server runs: delivering, watching, and clearing away."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from agentops.core.forever import in_background
from agentops.core.records import DAY_MS, now_ms
from agentops.plugins.features.webhooks.courier import Courier
from agentops.plugins.features.webhooks.ear import Ear
from agentops.plugins.features.webhooks.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agentops.core.rungs import Rungs
    from agentops.core.signals import Signals
    from agentops.plugins.features.webhooks.outbox import Outbox
    from agentops.plugins.features.webhooks.sending import Sender
    from agentops.plugins.features.webhooks.settings import WebhooksSettings
    from agentops.plugins.features.webhooks.subscriptions import Subscriptions

UPKEEP_SECONDS: Final = 15.0


def this_process() -> str:
    """By the name that says to people which one it is; another machine may have one of the same."""
    return f"{socket.gethostname()}:{os.getpid()}"


@asynccontextmanager
async def at_work(
    rungs: Rungs, settings: WebhooksSettings, subscriptions: Subscriptions, outbox: Outbox, sender: Sender
) -> AsyncGenerator[None]:
    """Deliveries that are under way at the end are broken off: whoever is next makes them again."""
    signals = rungs.signals
    courier = Courier(outbox, subscriptions, sender, signals)
    ear = Ear(settings.project, this_process(), settings.refused_burst, settings.refused_seconds)
    watch = Watch(
        rungs.storage,
        outbox,
        rungs.health,
        ear,
        stalled_seconds=settings.stalled_minutes * 60,
        expiring_days=settings.expiring_days,
    )
    upkeep = partial(_keep_up, outbox, signals, settings.keep_days)
    try:
        async with in_background(
            signals, {"webhooks": courier.step, "webhooks.watch": watch.step, "webhooks.upkeep": upkeep}
        ):
            with signals.told_to(ear):
                yield
    finally:
        await courier.end()


async def _keep_up(outbox: Outbox, signals: Signals, keep_days: int) -> None:
    signals.gauge("webhooks.waiting", await outbox.waiting())
    if keep_days:
        await outbox.forget(now_ms() - keep_days * DAY_MS)
    await asyncio.sleep(UPKEEP_SECONDS)
