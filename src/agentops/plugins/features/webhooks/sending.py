"""One attempt: find the target, sign, send, and say how it went."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from agentops.core.records import now_ms
from agentops.plugins.features.webhooks.outbox import Attempt
from agentops.plugins.features.webhooks.posting import NotSent, post
from agentops.plugins.features.webhooks.signing import signed_headers
from agentops.plugins.features.webhooks.targets import NotAllowed, find, place_of
from agentops.plugins.features.webhooks.writing import body_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentops.core.addresses import Network
    from agentops.core.signals import Signals
    from agentops.plugins.features.webhooks.subscriptions import Webhook


class Sender:
    """Sends to public addresses, and to those that the deployment allows."""

    def __init__(self, allowed: Collection[Network], signals: Signals) -> None:
        self._allowed = allowed
        self._signals = signals

    async def check(self, url: str) -> None:
        """Raise `NotAllowed` for what would not be sent to as things are now."""
        await find(place_of(url), self._allowed)

    async def send(self, webhook: Webhook, message: str, kind: str, at: int, data: str) -> Attempt:
        began, now = time.perf_counter(), now_ms()
        status, error = None, None
        try:
            target = await find(place_of(webhook.url), self._allowed)
            body = body_of(webhook.format, kind, at, data.encode())
            status = await post(target, signed_headers(webhook.secrets(now), message, now // 1000, body), body)
            error = _meaning(status)
        except (NotAllowed, NotSent) as reason:
            error = str(reason)
        except Exception as reason:  # noqa: BLE001 - one that nobody thought of has to count, or it would have no end
            error = type(reason).__name__
        seconds = time.perf_counter() - began
        outcome = "delivered" if error is None else "failed"
        self._signals.count("webhooks.attempts", outcome=outcome)
        self._signals.observe("webhooks.seconds", seconds, outcome=outcome)
        return Attempt(now, round(seconds * 1000, 1), status, error)


def _meaning(status: int) -> str | None:
    if status // 100 == 2:
        return None
    if status // 100 == 3:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"
