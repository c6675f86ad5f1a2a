"""The events of a provider's stream, bounded and strict."""

from __future__ import annotations

from typing import Final, NamedTuple

from agentops.client.sse import SseParser
from agentops.core.ports.model import ModelLost

EVENT_MOST: Final = 8 << 20
"""An image comes as one event."""


class Event(NamedTuple):
    """What it holds, and its name if it has one."""

    data: str
    name: str


class Events:
    """Takes bytes as they come, and returns the events that are whole with them."""

    def __init__(self, most: int = EVENT_MOST) -> None:
        self._most = most
        self._parser = SseParser()
        self._waiting = 0

    def feed(self, chunk: bytes) -> list[Event]:
        events = self._parser.feed(chunk)
        self._waiting = 0 if events else self._waiting + len(chunk)
        if self._waiting > self._most:
            raise ModelLost(f"the provider's stream has an event of more than {self._most} bytes")
        return [Event(event.data, "" if event.event == "message" else event.event) for event in events]
