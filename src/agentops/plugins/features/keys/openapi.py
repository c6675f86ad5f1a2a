"""What the OpenAPI document says of the routes of keys."""

from __future__ import annotations

from typing import Final

from agentops.core.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from agentops.core.http.describing import answered, documented, json_example, json_examples, refused_bodies
from agentops.plugins.features.keys import messages

_MADE: Final = {
    "api_key": "uc_5b0e…",
    "key_id": "9f86d081884c7d65",
    "key_prefix": "uc_5b0e",
    "expires_at": "2026-04-01T00:00:00Z",
    "warning": messages.WARNING,
}
_PLAIN: Final = {"name": "nightly", "permissions": ["runs:write"]}
_LIMITED: Final = _PLAIN | {"llm": {"models": ["small", "large"], "requests_per_minute": 60, "budget_day": 5_000_000}}
_LISTED: Final = {
    "key_id": "9f86d081884c7d65",
    "key_name": "nightly",
    "key_prefix": "uc_5b0e",
    "permissions": ["runs:write"],
    "allowed_ips": [],
    "created_at": "2026-01-01T00:00:00Z",
    "last_used": None,
    "expires_at": "2026-04-01T00:00:00Z",
    "is_active": True,
    "status": "active",
}
_NO_KEY: Final = NotFound("there is no such key")
_AWAY: Final = Unavailable("credentials cannot be checked right now", code="auth_unavailable")
_BODY: Final = (
    *refused_bodies(),
    _AWAY,
)
_TOO_MUCH: Final = Forbidden("nobody grants what they do not hold: 'runs:write'", code="beyond_own_rights")


CREATE: Final = documented(
    "Make a key",
    requestBody={"content": json_examples(messages.WantedKey, plain=_PLAIN, limited=_LIMITED)},
    responses={"201": answered("The key, shown this once", messages.MadeKey, _MADE)},
    refusals=[
        BadRequest("there is no permission 'runs:raed'", code="unknown_permission", param="permissions"),
        _TOO_MUCH,
        *_BODY,
    ],
)
LIST: Final = documented(
    "List keys, newest first",
    responses={
        "200": answered("The keys, without their text", messages.ListedKeys, {"api_keys": [_LISTED], "total": 1})
    },
    refusals=[_AWAY],
)
REVOKE: Final = documented(
    "Revoke a key",
    responses={
        "200": answered("It is refused from now on", messages.Done, {"message": "the key is revoked", "success": True})
    },
    refusals=[_NO_KEY, _AWAY],
)
REVOKE_ALL: Final = documented(
    "Revoke all keys",
    responses={"200": answered("How many there were", messages.RevokedKeys, {"revoked": 2})},
    refusals=[_AWAY],
)
ROTATE: Final = documented(
    "Replace a key by a new one like it",
    requestBody={"content": json_example(messages.Rotation, {"grace_seconds": 3600})},
    responses={"201": answered("The new key, shown this once", messages.MadeKey, _MADE)},
    refusals=[
        _NO_KEY,
        _TOO_MUCH,
        Conflict("only a key that works and was not rotated yet can be rotated", code="key_not_active"),
        *_BODY,
    ],
)
