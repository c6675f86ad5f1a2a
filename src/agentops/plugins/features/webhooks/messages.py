"""What is sent and answered about webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from agentops.core.records import now_ms
from agentops.plugins.features.webhooks.kinds import Kind
from agentops.plugins.features.webhooks.outbox import Attempt, State
from agentops.plugins.features.webhooks.writing import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.plugins.features.webhooks.outbox import Delivery
    from agentops.plugins.features.webhooks.subscriptions import Webhook

GRACE_MOST: Final = 7 * 24 * 60 * 60
WARNING: Final = "Keep this secret now: it cannot be shown again."

Kinds = Annotated[list[Kind], msgspec.Meta(min_length=1)]
Description = Annotated[str, msgspec.Meta(max_length=200)]
Grace = Annotated[int, msgspec.Meta(ge=0, le=GRACE_MOST)]


class WantedWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to send where."""

    url: str
    events: Kinds
    format: Format = "standard"
    description: Description = ""


class ChangedWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; the rest stays."""

    url: str | UnsetType = UNSET
    events: Kinds | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class SecretRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how long the old secret signs as well."""

    grace_seconds: Grace = 24 * 60 * 60


class ShownWebhook(msgspec.Struct):
    """A webhook as it is listed; of its address, what may be a credential is left out."""

    id: str
    url: str
    events: list[str]
    format: Format
    description: str
    enabled: bool
    disabled_because: str | None
    created_at: int


class MadeWebhook(ShownWebhook):
    """One of the two answers that hold the secret."""

    secret: str
    warning: str = WARNING


class NewSecret(msgspec.Struct):
    """The other one."""

    secret: str
    previous_until: int | None
    warning: str = WARNING


class ListedWebhooks(msgspec.Struct):
    """All of a project, oldest first."""

    webhooks: list[ShownWebhook]


class ShownDelivery(msgspec.Struct):
    """A message, and every attempt to deliver it."""

    id: str
    event: str
    state: State
    at: int
    data: msgspec.Raw
    attempts: list[Attempt]


class Tested(msgspec.Struct):
    """How a test went."""

    delivered: bool
    attempt: Attempt


wanted_decoder: Final = msgspec.json.Decoder(WantedWebhook)
changed_decoder: Final = msgspec.json.Decoder(ChangedWebhook)
rotation_decoder: Final = msgspec.json.Decoder(SecretRotation)


def shown(webhook: Webhook) -> ShownWebhook:
    return ShownWebhook(**_said(webhook))


def made(webhook: Webhook) -> MadeWebhook:
    return MadeWebhook(**_said(webhook), secret=webhook.secret)


def listed(webhooks: Sequence[Webhook]) -> ListedWebhooks:
    return ListedWebhooks([shown(webhook) for webhook in webhooks])


def rotated(webhook: Webhook) -> NewSecret:
    both = len(webhook.secrets(now_ms())) > 1
    return NewSecret(webhook.secret, webhook.previous_until if both else None)


def delivered(delivery: Delivery) -> ShownDelivery:
    return ShownDelivery(
        id=str(delivery.id),
        event=delivery.kind,
        state=delivery.state,
        at=delivery.at,
        data=msgspec.Raw(delivery.data.encode()),
        attempts=list(delivery.log),
    )


def fields(changed: ChangedWebhook) -> dict[str, Any]:
    """What the change sets, by the names that it has in a `Webhook`."""
    said: dict[str, Any] = {"url": changed.url, "kinds": changed.events, "description": changed.description}
    if changed.enabled is not UNSET:
        said |= {"disabled_at": None if changed.enabled else now_ms(), "disabled_because": None}
    return {name: value for name, value in said.items() if value is not UNSET}


def _said(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.shown,
        "events": list(webhook.kinds),
        "format": webhook.format,
        "description": webhook.description,
        "enabled": webhook.disabled_at is None,
        "disabled_because": webhook.disabled_because,
        "created_at": webhook.created_at,
    }
