"""What the OpenAPI document says of the routes of webhooks."""

from __future__ import annotations

from typing import Any, Final

from agentops.core.errors import BadRequest, Conflict, NotFound, TooLarge, Unavailable, UnsupportedMediaType
from agentops.core.http.document import documented
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
    BadRequest("JSON is malformed: invalid character (byte 0)", code="invalid_json"),
    TooLarge("a body may have 8388608 bytes at most"),
    UnsupportedMediaType("send application/json, not text/plain"),
    _AWAY,
)
_LINK: Final = {"description": 'The next page, as `<...>; rel="next"`; absent when there is none.', "schema": str}


def _answer(description: str, schema: Any, example: Any, **more: Any) -> dict[str, Any]:
    return {"description": description, "content": _content(schema, example), **more}


def _content(schema: Any, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": example}}


CREATE: Final = documented(
    "Subscribe an address",
    description="What happens from now on is sent to it, signed as Standard Webhooks says.",
    requestBody={
        "content": _content(
            messages.WantedWebhook, {"url": "https://example.com/agentops", "events": ["run.failed", "run.stalled"]}
        )
    },
    responses={"201": _answer("The webhook, and the secret that signs, shown this once", messages.MadeWebhook, _MADE)},
    refusals=[_URL, Conflict("a project has 100 webhooks at most", code="too_many_webhooks"), *_BODY],
)
LIST: Final = documented(
    "List webhooks",
    responses={"200": _answer("Those of the project", messages.ListedWebhooks, {"webhooks": [_SHOWN]})},
    refusals=[_AWAY],
)
GET: Final = documented(
    "Read a webhook",
    responses={"200": _answer("The webhook", messages.ShownWebhook, _SHOWN)},
    refusals=[_NO_WEBHOOK, _AWAY],
)
CHANGE: Final = documented(
    "Change a webhook, stop it, or let it go on",
    requestBody={"content": _content(messages.ChangedWebhook, {"enabled": False})},
    responses={"200": _answer("The webhook as it is now", messages.ShownWebhook, {**_SHOWN, "enabled": False})},
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
    requestBody={"content": _content(messages.SecretRotation, {"grace_seconds": 86400})},
    responses={
        "201": _answer(
            "The new secret, shown this once",
            messages.NewSecret,
            {"secret": _SECRET, "previous_until": 1767312000000, "warning": messages.WARNING},
        )
    },
    refusals=[_NO_WEBHOOK, *_BODY],
)
TEST: Final = documented(
    "Send a test now",
    description="Beside whatever waits; it is not tried again.",
    responses={"200": _answer("How it went", messages.Tested, {"delivered": True, "attempt": _ATTEMPT})},
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
        {
            "name": "limit",
            "in": "query",
            "description": "How many at most; over 1000 is taken as 1000.",
            "schema": {"type": "integer", "minimum": 1, "default": 100},
            "example": 50,
        },
        {
            "name": "before",
            "in": "query",
            "description": "The id of a delivery: only older ones.",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        },
        {
            "name": "state",
            "in": "query",
            "description": "Only those that wait, were delivered, or were given up after a day.",
            "schema": {"enum": ["waiting", "delivered", "parked"]},
            "example": "parked",
        },
    ],
    responses={
        "200": _answer(
            "Deliveries, each with its attempts", list[messages.ShownDelivery], [_DELIVERY], headers={"Link": _LINK}
        )
    },
    refusals=[
        _NO_WEBHOOK,
        BadRequest("a limit is a whole number of 1 and more", code="invalid_limit", param="limit"),
        BadRequest("`before` is the id of a delivery", code="invalid_cursor", param="before"),
        BadRequest("a state is one of waiting, delivered, parked", code="invalid_state", param="state"),
        _AWAY,
    ],
)
AGAIN: Final = documented(
    "Deliver something again",
    description="It waits in its old place; one that is older than a day is tried once.",
    responses={"204": {"description": "It waits"}},
    refusals=[_NO_WEBHOOK, _AWAY],
)
