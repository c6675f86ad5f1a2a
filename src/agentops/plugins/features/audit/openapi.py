"""What the OpenAPI document says of the audit trail."""

from __future__ import annotations

from typing import Any, Final

from agentops.accounts.audit import Entry
from agentops.core.errors import BadRequest, Unavailable
from agentops.core.http.document import documented

_ENTRY: Final = {
    "id": "7",
    "at": 1767225600000,
    "project": "default",
    "lane": "api",
    "actor": "usr_5d41402abc4b2a76",
    "credential": "session:9f86d081884c7d659a2feaa0c55ad015",
    "action": "user.role",
    "target": "usr_7d793037a0760186",
    "outcome": "ok",
    "reason": "",
    "address": "192.0.2.7",
    "requestId": "c89bbbcf38fc67bd9b9c000000000001",
    "details": {"was": "viewer", "role": "developer"},
}
_TIME: Final = {"type": "integer", "minimum": 0}


def _asked(name: str, description: str, kind: Any = str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": kind, **more}


LIST: Final = documented(
    "Read the audit trail, newest first",
    description="Who did what, on what, from where, in which lane, when, and how it ended: of one's own project.",
    parameters=[
        _asked(
            "limit",
            "How many at most; over 1000 is taken as 1000.",
            {"type": "integer", "minimum": 1, "default": 100},
            example=50,
        ),
        _asked("before", "The id of an entry: only older ones.", {"type": "string", "pattern": "^[0-9]+$"}),
        _asked("actor", "Only what this subject did.", example="usr_5d41402abc4b2a76"),
        _asked("action", "Only this action.", example="user.role"),
        _asked("target", "Only what was done to this one.", example="usr_7d793037a0760186"),
        _asked("outcome", "Only what ended like this.", {"enum": ["ok", "refused"]}, example="ok"),
        _asked("since", "Only from this moment on, in epoch milliseconds.", _TIME, example=1767225600000),
        _asked("until", "Only before this moment, in epoch milliseconds.", _TIME, example=4102444800000),
    ],
    responses={
        "200": {
            "description": "Entries",
            "headers": {
                "Link": {
                    "description": 'The next page, as `<...>; rel="next"`; absent when there is none.',
                    "schema": str,
                }
            },
            "content": {"application/json": {"schema": list[Entry], "examples": {"entries": {"value": [_ENTRY]}}}},
        }
    },
    refusals=(
        BadRequest("a limit is a whole number of 1 and more", code="invalid_limit", param="limit"),
        BadRequest("`before` is the id of an entry", code="invalid_cursor", param="before"),
        BadRequest("`since` is a time in epoch milliseconds", code="invalid_time", param="since"),
        Unavailable("nothing can be stored or read now: the disk is full"),
    ),
)
