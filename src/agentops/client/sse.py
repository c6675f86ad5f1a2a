"""Reads a stream of server-sent events, whatever pieces it comes in."""

from __future__ import annotations

from typing import Final, NamedTuple

_BOM: Final = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event; `id` is the last one that was sent, with this event or before it."""

    data: str
    event: str = "message"
    id: str = ""


class SseParser:
    """Parses as the HTML standard says: lines end with CR, LF or both, and a blank line ends an event."""

    def __init__(self) -> None:
        self.last_event_id = ""
        """What to send as `Last-Event-ID` to go on behind the last whole event."""
        self.retry: int | None = None
        """How many milliseconds the server asks to wait before connecting again."""
        self._unfinished: list[bytes] = []
        self._after_cr = False
        self._at_start = True
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes, and return the events that are complete with them."""
        if not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        lines = chunk.splitlines(keepends=True)
        if not lines:
            return []
        if _is_whole(lines[0]):
            lines[0] = b"".join([*self._unfinished, lines[0]])
            self._unfinished.clear()
        if not _is_whole(lines[-1]):
            self._unfinished.append(lines.pop())
        events = [self._take(line.rstrip(b"\r\n")) for line in lines]
        return [event for event in events if event is not None]

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        self.last_event_id = self._id
        data, self._data = self._data, []
        name, self._event = self._event, ""
        return ServerSentEvent("\n".join(data), name or "message", self._id) if data else None


def _is_whole(line: bytes) -> bool:
    return line.endswith((b"\n", b"\r"))
