"""What is recorded: runs, and the events in them, in the words of the wire.

An event is encoded once, when it comes in, to the JSON that is stored, answered and streamed; only its id and
its run are put in front of it later. See `docs/decisions/0004-events-are-stored-as-sent.md`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

Status = Literal["running", "completed", "error"]
STATUSES: Final[tuple[Status, ...]] = ("running", "completed", "error")

DAY_MS: Final = 24 * 60 * 60 * 1000

_encode: Final = msgspec.json.Encoder().encode


def iso(milliseconds: int) -> str:
    """As people read a time that is told to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def default_title(run: str) -> str:
    return f"Run {run}"


class Run(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One piece of work of one or more agents; times are epoch milliseconds."""

    id: str
    title: str
    status: Status
    started_at: int
    ended_at: int | None
    event_count: int


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """The shape of an event on the wire; the order of the fields is the order there."""

    id: str
    run_id: str
    ts: int
    type: str
    level: str
    agent_id: str | None
    task_id: str | None
    payload: msgspec.Raw


class EventBody(msgspec.Struct, rename="camel"):
    """An event as it is stored: without `id` and `runId`, its fields in the order of the wire."""

    ts: int
    type: str
    level: str
    agent_id: str | None
    task_id: str | None
    payload: msgspec.Raw

    def json(self) -> str:
        """The one line that is stored and sent from now on; a line break in a payload would end a stream's frame."""
        raw = bytes(self.payload)
        if b"\n" in raw or b"\r" in raw:
            self.payload = msgspec.Raw(msgspec.json.format(raw, indent=-1))
        return _encode(self).decode()


class NewEvent(NamedTuple):
    """An event to be stored: its JSON object without `id` and `runId`, and the key that makes it idempotent."""

    body: str
    key: str | None = None


class StoredEvent(NamedTuple):
    """A row of the log: the id it was given, and its JSON object without `id` and `runId`."""

    id: int
    body: str


class EventSplicer:
    """Puts the id and the run in front of a stored body; made once for a run, used for each of its events."""

    __slots__ = ("_run",)

    def __init__(self, run: str) -> None:
        self._run = f'","runId":{msgspec.json.encode(run).decode()},'

    def json(self, event: StoredEvent) -> str:
        return f'{{"id":"{event.id}{self._run}{event.body[1:]}'

    def frame(self, event: StoredEvent) -> str:
        """The event as server-sent: a body holds no line break, so nothing in it can end the frame early."""
        return f'id: {event.id}\ndata: {{"id":"{event.id}{self._run}{event.body[1:]}\n\n'
