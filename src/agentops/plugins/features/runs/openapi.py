"""What the OpenAPI document says of the routes: they decode for themselves, so it cannot be read off their types."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from agentops.core.errors import BadRequest, NotFound, Unavailable
from agentops.core.http.describing import (
    NEXT_PAGE,
    documented,
    json_examples,
    limit_parameter,
    query_parameter,
    refused_bodies,
    with_examples,
)
from agentops.core.http.paging import bad_limit
from agentops.core.records import Event, Run, Status
from agentops.plugins.features.runs import incoming


class IncomingEvent(incoming.IncomingEvent, rename="camel"):
    """An event as it is sent; only `type` is required, and what is not known here is passed over."""

    payload: Any = {}


class IncomingRun(incoming.IncomingRun, frozen=True):
    """The run to make; without an id it is given one."""

    status: Status | None = None


class RunChange(incoming.RunChange, frozen=True):
    """What to change; what is left out stays as it is."""

    status: Status | None = None


class Recorded(msgspec.Struct):
    """How many events came in, and the ids of the first and the last of them."""

    count: int
    first: str
    last: str


_RUN: Final = {
    "id": "nightly-report",
    "title": "Nightly report",
    "status": "running",
    "startedAt": 1767225600000,
    "endedAt": None,
    "eventCount": 2,
}
_EVENT: Final = {
    "id": "16",
    "runId": "nightly-report",
    "ts": 1767225600000,
    "type": "tool.called",
    "level": "info",
    "agentId": "writer",
    "taskId": None,
    "payload": {"tool": "search", "query": "weather in Oslo"},
}
_SENT: Final = {"type": "tool.called", "agentId": "writer", "payload": {"tool": "search", "query": "weather in Oslo"}}
_MORE: Final = [{"type": "log", "level": "warning", "payload": "slow"}, {"type": "log", "key": "step-7"}]
_LINES: Final = '{"type": "log", "payload": [1, 2]}\n{"type": "run.completed"}\n'
_STREAM: Final = (
    ": connected\n\n"
    f"id: 16\ndata: {msgspec.json.encode(_EVENT).decode()}\n\n"
    ": heartbeat 1767225615000\n\n"
    'event: gap\ndata: {"after":"5","oldest":"900"}\n\n'
)

_UNAVAILABLE: Final = Unavailable("nothing can be stored or read now: the disk is full")
_BODY: Final = (
    BadRequest("Object missing required field `type`", code="invalid_body"),
    *refused_bodies(),
    _UNAVAILABLE,
)
_BAD_NAME: Final = BadRequest("a run's id has 1 to 200 characters", code="invalid_run_id")
_BAD_STATUS: Final = BadRequest("a status is one of running, completed, error", code="invalid_status", param="status")
_BAD_CURSOR: Final = BadRequest("a cursor is the id of an event", code="invalid_cursor", param="after")


_RUN_ID: Final = {
    "name": "run_id",
    "in": "path",
    "required": True,
    "description": "Any text of 1 to 200 characters without control characters; `/` is written `%2F`.",
    "schema": incoming.Name,
    "example": "nightly-report",
}
_LIMIT: Final = limit_parameter(500, 1000, example=100)
_AFTER: Final = query_parameter(
    "after", "The id of the event to begin behind.", Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
)
_AFTER_FEED: Final = query_parameter(
    "after", "The cursor of an earlier answer: its `Link`, or an id of the feed's stream."
)
_LAST_EVENT_ID: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last frame received; a browser sends it by itself, and it wins over `after`.",
    "schema": str,
}
_LINK: Final = {"Link": NEXT_PAGE}


def _stream(description: str) -> dict[str, Any]:
    example = {"summary": "An event, a heartbeat, and a gap where retention removed events.", "value": _STREAM}
    content = {"schema": {"type": "string"}, "examples": {"stream": example}}
    return {"200": {"description": description, "content": {"text/event-stream": content}}}


CREATE_RUN: Final = documented(
    "Make a run",
    requestBody={
        "content": json_examples(IncomingRun, named={"id": "nightly-report", "title": "Nightly report"}, unnamed={})
    },
    responses={
        "201": {"description": "The new run", "content": json_examples(Run, run=_RUN | {"eventCount": 0})},
        "200": {
            "description": "A run of this id was there already, and is unchanged",
            "content": json_examples(Run, run=_RUN),
        },
    },
    refusals=(_BAD_NAME, _BAD_STATUS, *_BODY),
)
LIST_RUNS: Final = documented(
    "List runs, newest first",
    parameters=[
        _LIMIT,
        query_parameter("before", "The id of a run, or a time in epoch milliseconds.", example="1767225600001"),
        query_parameter("status", "Only runs of this status.", Status, example="running"),
        query_parameter("q", "Only runs that have this in their id or title.", example="report"),
    ],
    responses={"200": {"description": "Runs", "headers": _LINK, "content": json_examples(list[Run], runs=[_RUN])}},
    refusals=(bad_limit(), _BAD_STATUS, _UNAVAILABLE),
)
GET_RUN: Final = documented(
    "Read a run",
    parameters=[_RUN_ID],
    responses={"200": {"description": "The run", "content": json_examples(Run, run=_RUN)}},
    refusals=(_BAD_NAME, NotFound(), _UNAVAILABLE),
)
CHANGE_RUN: Final = documented(
    "Rename a run, or say how it ended",
    parameters=[_RUN_ID],
    requestBody={
        "required": True,
        "content": json_examples(RunChange, renamed={"title": "Nightly report"}, ended={"status": "completed"}),
    },
    responses={
        "200": {
            "description": "The run as it is now",
            "content": json_examples(Run, run=_RUN | {"status": "completed", "endedAt": 1767225660000}),
        }
    },
    refusals=(_BAD_NAME, _BAD_STATUS, *_BODY, NotFound()),
)
APPEND_EVENTS: Final = documented(
    "Record events",
    description="Answered once they are committed. All of a body are stored, or none; a run that is new is made.",
    parameters=[_RUN_ID],
    requestBody={
        "required": True,
        "content": {
            "application/json": with_examples(IncomingEvent | list[IncomingEvent], one=_SENT, several=_MORE),
            "application/x-ndjson": with_examples({"type": "string"}, lines=_LINES),
        },
    },
    responses={
        "201": {
            "description": "The event as it is stored; of an array or of lines, how many and which",
            "content": json_examples(
                {"anyOf": [Event, Recorded]}, one=_EVENT, several={"count": 2, "first": "17", "last": "18"}
            ),
        }
    },
    refusals=(_BAD_NAME, *_BODY),
)
LIST_EVENTS: Final = documented(
    "Read a run's events behind an id",
    parameters=[_RUN_ID, _AFTER | {"example": "15"}, _LIMIT],
    responses={
        "200": {
            "description": "Events in ascending order; none for an unknown run",
            "headers": _LINK,
            "content": json_examples(list[Event], events=[_EVENT]),
        }
    },
    refusals=(_BAD_NAME, bad_limit(), _BAD_CURSOR, _UNAVAILABLE),
)
STREAM_RUN: Final = documented(
    "Follow a run live",
    description=(
        "Resumes behind `Last-Event-ID` or `after`, and starts now without either; "
        "an unknown run may be about to start."
    ),
    parameters=[_RUN_ID, _AFTER | {"example": "15"}, _LAST_EVENT_ID],
    responses=_stream("Server-sent events"),
    refusals=(_BAD_NAME, _BAD_CURSOR, _UNAVAILABLE),
)
LIST_FEED: Final = documented(
    "Read the events of all runs behind a cursor",
    parameters=[_AFTER_FEED, _LIMIT],
    responses={
        "200": {
            "description": "Events in the feed's order",
            "headers": _LINK,
            "content": json_examples(list[Event], events=[_EVENT]),
        }
    },
    refusals=(bad_limit(), _BAD_CURSOR, _UNAVAILABLE),
)
STREAM_FEED: Final = documented(
    "Follow all runs live",
    description="As the stream of a run, but its ids are cursors of the feed.",
    parameters=[_AFTER_FEED, _LAST_EVENT_ID],
    responses=_stream("Server-sent events"),
    refusals=(_BAD_CURSOR, _UNAVAILABLE),
)
