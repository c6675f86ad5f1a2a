"""The lines of an export: `{"project", "run"}` or `{"project", "event", "key"?}`, a run before its events."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Final

import msgspec

from agentops.core.records import EventBody, EventSplicer, NewEvent, Run, Status, StoredEvent

LONGEST_LINE: Final = 64 * 1024 * 1024

Name = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}$")]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,18}$")]
Milliseconds = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class RunRecord(msgspec.Struct, rename="camel"):
    id: Name
    title: Annotated[str, msgspec.Meta(max_length=1000)]
    status: Status
    started_at: Milliseconds
    ended_at: Milliseconds | None = None


class EventRecord(msgspec.Struct, rename="camel"):
    id: Id
    run_id: Name
    ts: Milliseconds
    type: Word
    level: Word
    agent_id: str | None
    task_id: str | None
    payload: msgspec.Raw


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """Either a run or an event."""

    project: Name
    run: RunRecord | None = None
    event: EventRecord | None = None
    key: Key | None = None

    @property
    def run_name(self) -> str:
        return self.event.run_id if self.event is not None else self.run.id if self.run is not None else ""


class BadLineError(ValueError):
    """What stands in the file is no line of an export; the text says why."""


_decoder: Final = msgspec.json.Decoder(Line)
_encode: Final = msgspec.json.Encoder().encode


def run_line(project: str, run: Run) -> bytes:
    return b'{"project":%s,"run":%s}\n' % (_encode(project), _encode(run))


def event_line(project: str, splicer: EventSplicer, event: StoredEvent, key: str | None) -> bytes:
    with_key = b',"key":%s' % _encode(key) if key is not None else b""
    return b'{"project":%s,"event":%s%s}\n' % (_encode(project), splicer.json(event).encode(), with_key)


def read_line(text: bytes) -> Line:
    try:
        text.decode()
        line = _decoder.decode(text)
    except UnicodeDecodeError:
        raise BadLineError("it is not UTF-8") from None
    except RecursionError:
        raise BadLineError("it is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise BadLineError(str(error)) from None
    if (line.run is None) == (line.event is None):
        raise BadLineError("it is neither a run nor an event")
    return line


def stored_body(event: EventRecord) -> str:
    """The event's JSON as it is stored."""
    return EventBody(event.ts, event.type, event.level, event.agent_id, event.task_id, event.payload).json()


def new_event(line: Line, event: EventRecord) -> NewEvent:
    """What to store. An event without a key is given one by what it is, so that the same line is stored once."""
    body = stored_body(event)
    key = line.key or f"export:{sha256(f'{event.id} {body}'.encode()).hexdigest()[:40]}"
    return NewEvent(body, key)
