"""What the OpenAPI document says of the routes of keys."""

from __future__ import annotations

from typing import Any, Final

from agentops.core.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge, Unavailable, UnsupportedMediaType
from agentops.core.http.document import documented
from agentops.plugins.features.keys import messages

_MADE: Final = {
    "api_key": "uc_5b0e…",
    "key_id": "9f86d081884c7d65",
    "key_prefix": "uc_5b0e",
    "expires_at": "2026-04-01T00:00:00Z",
    "warning": messages.WARNING,
}
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
    BadRequest("JSON is malformed: invalid character (byte 0)", code="invalid_json"),
    TooLarge("a body may have 8388608 bytes at most"),
    UnsupportedMediaType("send application/json, not text/plain"),
    _AWAY,
)
_TOO_MUCH: Final = Forbidden("nobody grants what they do not hold: 'runs:write'", code="beyond_own_rights")


def _answer(status: str, description: str, schema: Any, example: Any) -> dict[str, Any]:
    return {status: {"description": description, "content": _content(schema, example)}}


def _content(schema: Any, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": example}}


CREATE: Final = documented(
    "Make a key",
    requestBody={"content": _content(messages.WantedKey, {"name": "nightly", "permissions": ["runs:write"]})},
    responses=_answer("201", "The key, shown this once", messages.MadeKey, _MADE),
    refusals=[
        BadRequest("there is no permission 'runs:raed'", code="unknown_permission", param="permissions"),
        _TOO_MUCH,
        *_BODY,
    ],
)
LIST: Final = documented(
    "List keys, newest first",
    responses=_answer("200", "The keys, without their text", messages.ListedKeys, {"api_keys": [_LISTED], "total": 1}),
    refusals=[_AWAY],
)
REVOKE: Final = documented(
    "Revoke a key",
    responses=_answer(
        "200", "It is refused from now on", messages.Done, {"message": "the key is revoked", "success": True}
    ),
    refusals=[_NO_KEY, _AWAY],
)
REVOKE_ALL: Final = documented(
    "Revoke all keys",
    responses=_answer("200", "How many there were", messages.RevokedKeys, {"revoked": 2}),
    refusals=[_AWAY],
)
ROTATE: Final = documented(
    "Replace a key by a new one like it",
    requestBody={"content": _content(messages.Rotation, {"grace_seconds": 3600})},
    responses=_answer("201", "The new key, shown this once", messages.MadeKey, _MADE),
    refusals=[
        _NO_KEY,
        _TOO_MUCH,
        Conflict("only a key that works and was not rotated yet can be rotated", code="key_not_active"),
        *_BODY,
    ],
)
