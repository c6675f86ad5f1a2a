"""What clients send, checked whole before anything is stored."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from agentops.core.errors import BadRequest
from agentops.core.http.bodies import decode_json
from agentops.core.http.gate import ENCODED_SLASH
from agentops.core.http.paging import is_number
from agentops.core.records import STATUSES, EventBody, NewEvent, Status, now_ms
from agentops.core.run_names import checked_run_name

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAFE_INTEGER: Final = 2**53
_EMPTY: Final = msgspec.Raw(b"{}")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Milliseconds = Annotated[int, msgspec.Meta(ge=-_SAFE_INTEGER, le=_SAFE_INTEGER)]


class IncomingEvent(msgspec.Struct, rename="camel"):
    """An event as it is sent; only `type` is required, and what is not known here is passed over."""

    type: Name
    ts: Milliseconds | datetime | None = None
    level: Name | None = None
    agent_id: str | None = None
    task_id: str | None = None
    payload: msgspec.Raw = _EMPTY
    key: Name | None = None


class IncomingRun(msgspec.Struct, frozen=True):
    """The body of `POST /runs`."""

    id: str | None = None
    title: str | None = None
    status: str | None = None


class RunChange(msgspec.Struct, frozen=True):
    """The body of `PATCH /runs/{id}`."""

    title: str | None = None
    status: str | None = None


run_decoder: Final = msgspec.json.Decoder(IncomingRun)
change_decoder: Final = msgspec.json.Decoder(RunChange)
_one: Final = msgspec.json.Decoder(IncomingEvent)
_many: Final = msgspec.json.Decoder(list[IncomingEvent])

CLOSING: Final[dict[str, Status]] = {"run.completed": "completed", "run.error": "error", "error": "error"}
"""Events that say of their run how it ended; the dashboard's clients rely on them instead of a PATCH."""


def one_event(body: bytes) -> IncomingEvent:
    return decode_json(_one, body)


def many_events(body: bytes) -> list[IncomingEvent]:
    return decode_json(_many, body)


def event_lines(body: bytes) -> list[IncomingEvent]:
    """NDJSON: an event a line; empty lines are passed over."""
    events: list[IncomingEvent] = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            try:
                events.append(decode_json(_one, line))
            except BadRequest as error:
                raise BadRequest(f"line {number}: {error.message}", code=error.code) from None
    return events


def to_store(event: IncomingEvent, now: int) -> NewEvent:
    """Fill the defaults and write the one line that is stored and sent from now on."""
    when = now if event.ts is None else event.ts if isinstance(event.ts, int) else _milliseconds(event.ts)
    body = EventBody(when, event.type, event.level or "info", event.agent_id, event.task_id, event.payload)
    if event.key is not None and "\0" in event.key:
        raise BadRequest("a key may not hold U+0000", code="invalid_body")
    return NewEvent(body.json(), event.key)


def closing_status(events: Iterable[IncomingEvent]) -> Status | None:
    status: Status | None = None
    for event in events:
        if event.type in CLOSING:
            status = CLOSING[event.type]
    return status


def run_name(text: str) -> str:
    """A run's name out of a path, where a slash in it was encoded."""
    return checked_run_name(text.replace(ENCODED_SLASH, "/"))


def made_name() -> str:
    letters = string.digits + string.ascii_lowercase
    return f"run-{now_ms()}-{''.join(secrets.choice(letters) for _ in range(9))}"


def checked_status(text: str | None) -> Status | None:
    if text is None:
        return None
    for status in STATUSES:
        if text == status:
            return status
    raise BadRequest(f"a status is one of {', '.join(STATUSES)}", code="invalid_status", param="status")


def checked_title(text: str | None) -> str | None:
    if text is not None and (len(text) > 1000 or "\0" in text):
        raise BadRequest("a title has at most 1000 characters, and no U+0000", code="invalid_title", param="title")
    return text


def event_cursor(text: str | None) -> int | None:
    """An event's id, as `after` and `Last-Event-ID` carry it."""
    if not text:
        return None
    if not is_number(text):
        raise BadRequest("a cursor is the id of an event", code="invalid_cursor", param="after")
    return int(text)


def _milliseconds(moment: datetime) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
