"""What the OpenAPI document says of the routes of webhooks."""

from __future__ import annotations

from typing import Final

from agentops.core.errors import BadRequest, Conflict, NotFound, Unavailable
from agentops.core.http.describing import (
    NEXT_PAGE,
    answered,
    documented,
    json_example,
    limit_parameter,
    query_parameter,
    refused_bodies,
)
from agentops.core.http.paging import bad_limit
from agentops.plugins.features.webhooks import messages

_SHOWN: Final = {
    "id": "whk_9f86d081884c7d65",
    "url": "https://example.com/agentops",
    "events": ["run.failed", "run.stalled"],
    "format": "standard",
    "description": "the people on call",
    "enabled": True,
    "disabled_because": None,
    "created_at": 1767225600000,
}
_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - an example, from the scheme's own text
_MADE: Final = {**_SHOWN, "secret": _SECRET, "warning": messages.WARNING}
_ATTEMPT: Final = {"at": 1767225600000, "ms": 31.4, "status": 200, "error": None}
_DELIVERY: Final = {
    "id": "7",
    "event": "run.failed",
    "state": "delivered",
    "at": 1767225600000,
    "data": {"run": "nightly", "title": "Nightly", "status": "error"},
    "attempts": [_ATTEMPT],
}
_AWAY: Final = Unavailable("nothing can be stored or read now: the disk is full")
_NO_WEBHOOK: Final = NotFound("there is no such webhook")
_URL: Final = BadRequest(
    "this URL cannot be called: its host is not at a public address", code="url_not_allowed", param="url"
)
_BODY: Final = (
    *refused_bodies(),
    _AWAY,
)
CREATE: Final = documented(
    "Subscribe an address",
    description="What happens from now on is sent to it, signed as Standard Webhooks says.",
    requestBody={
        "content": json_example(
            messages.WantedWebhook, {"url": "https://example.com/agentops", "events": ["run.failed", "run.stalled"]}
        )
    },
    responses={"201": answered("The webhook, and the secret that signs, shown this once", messages.MadeWebhook, _MADE)},
    refusals=[_URL, Conflict("a project has 100 webhooks at most", code="too_many_webhooks"), *_BODY],
)
LIST: Final = documented(
    "List webhooks",
    responses={"200": answered("Those of the project", messages.ListedWebhooks, {"webhooks": [_SHOWN]})},
    refusals=[_AWAY],
)
GET: Final = documented(
    "Read a webhook",
    responses={"200": answered("The webhook", messages.ShownWebhook, _SHOWN)},
    refusals=[_NO_WEBHOOK, _AWAY],
)
CHANGE: Final = documented(
    "Change a webhook, stop it, or let it go on",
    requestBody={"content": json_example(messages.ChangedWebhook, {"enabled": False})},
    responses={"200": answered("The webhook as it is now", messages.ShownWebhook, {**_SHOWN, "enabled": False})},
    refusals=[_NO_WEBHOOK, _URL, *_BODY],
)
REMOVE: Final = documented(
    "Remove a webhook and its deliveries",
    responses={"204": {"description": "It is gone"}},
    refusals=[_NO_WEBHOOK, _AWAY],
)
ROTATE: Final = documented(
    "Give a webhook a new secret",
    description="Both secrets sign, so that a receiver can change in between, until the grace is over.",
    requestBody={"content": json_example(messages.SecretRotation, {"grace_seconds": 86400})},
    responses={
        "201": answered(
            "The new secret, shown this once",
            messages.NewSecret,
            {"secret": _SECRET, "previous_until": 1767312000000, "warning": messages.WARNING},
        )
    },
    refusals=[
        _NO_WEBHOOK,
        Conflict("the secret before this one still signs, as it was promised to", code="rotation_under_way"),
        *_BODY,
    ],
)
TEST: Final = documented(
    "Send a test now",
    description="Beside whatever waits; it is not tried again.",
    responses={"200": answered("How it went", messages.Tested, {"delivered": True, "attempt": _ATTEMPT})},
    refusals=[_NO_WEBHOOK, _AWAY],
)
DELIVERIES: Final = documented(
    "List deliveries, newest first",
    parameters=[
        {
            "name": "webhook_id",
            "in": "path",
            "required": True,
            "description": "The webhook's id.",
            "schema": str,
            "example": "whk_9f86d081884c7d65",
        },
        limit_parameter(100, 1000, example=50),
        query_parameter("before", "The id of a delivery: only older ones.", {"type": "string", "pattern": "^[0-9]+$"}),
        query_parameter(
            "state",
            "Only those that wait, were delivered, or were given up after a day.",
            {"enum": ["waiting", "delivered", "parked"]},
            example="parked",
        ),
    ],
    responses={
        "200": answered(
            "Deliveries, each with its attempts", list[messages.ShownDelivery], [_DELIVERY], headers={"Link": NEXT_PAGE}
        )
    },
    refusals=[
        _NO_WEBHOOK,
        bad_limit(),
        BadRequest("`before` is the id of a delivery", code="invalid_cursor", param="before"),
        BadRequest("a state is one of waiting, delivered, parked", code="invalid_state", param="state"),
        _AWAY,
    ],
)
AGAIN: Final = documented(
    "Deliver something again",
    description="It waits in its old place; one that is older than a day is tried once.",
    responses={"204": {"description": "It waits"}},
    refusals=[_NO_WEBHOOK, Conflict("a test is not sent again: send another", code="is_a_test"), _AWAY],
)
