"""What the OpenAPI document says of the audit trail."""

from __future__ import annotations

from typing import Final

from agentops.accounts.audit import Entry
from agentops.core.errors import BadRequest, Unavailable
from agentops.core.http.describing import NEXT_PAGE, documented, json_examples, limit_parameter, query_parameter
from agentops.core.http.paging import bad_limit

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


LIST: Final = documented(
    "Read the audit trail, newest first",
    description="Who did what, on what, from where, in which lane, when, and how it ended: of one's own project.",
    parameters=[
        limit_parameter(100, 1000, example=50),
        query_parameter("before", "The id of an entry: only older ones.", {"type": "string", "pattern": "^[0-9]+$"}),
        query_parameter("actor", "Only what this subject did.", example="usr_5d41402abc4b2a76"),
        query_parameter("action", "Only this action.", example="user.role"),
        query_parameter("target", "Only what was done to this one.", example="usr_7d793037a0760186"),
        query_parameter("outcome", "Only what ended like this.", {"enum": ["ok", "refused"]}, example="ok"),
        query_parameter("since", "Only from this moment on, in epoch milliseconds.", _TIME, example=1767225600000),
        query_parameter("until", "Only before this moment, in epoch milliseconds.", _TIME, example=4102444800000),
    ],
    responses={
        "200": {
            "description": "Entries",
            "headers": {"Link": NEXT_PAGE},
            "content": json_examples(list[Entry], entries=[_ENTRY]),
        }
    },
    refusals=(
        bad_limit(),
        BadRequest("`before` is the id of an entry", code="invalid_cursor", param="before"),
        BadRequest("`since` is a time in epoch milliseconds", code="invalid_time", param="since"),
        Unavailable("nothing can be stored or read now: the disk is full"),
    ),
)
