"""What a configuration may say about webhooks."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from agentops.core.config.settings import NotNegative, Positive
from agentops.core.identity import DEFAULT_PROJECT
from agentops.core.plugin import Settings


class WebhooksSettings(Settings):
    """`[features.webhooks]`: where they may lead, and when something is worth telling."""

    allow: list[str] = []
    """Networks, such as `10.1.0.0/16`, that may be called though they are not public, and in plain http."""
    project: str = DEFAULT_PROJECT
    """Whose subscribers are told of the server itself: its health, refused credentials, budgets."""
    stalled_minutes: Annotated[float, Meta(ge=0)] = 10.0
    """A run without an event for so long is told as `run.stalled`; 0 never."""
    expiring_days: Annotated[int, Meta(ge=1, le=365)] = 7
    """So long before its end a key is told as `key.expiring`."""
    refused_burst: Positive = 100
    refused_seconds: Positive = 60
    """So many refused credentials of one lane in so many seconds are told as `auth.refused_burst`."""
    keep_days: NotNegative = 30
    """For how long the list of deliveries goes back; 0 keeps all."""
