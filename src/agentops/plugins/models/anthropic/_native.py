"""Anthropic's own API, handed through: nothing is changed, and what was used is read along the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.ports.model import Piece, Whole
from agentops.plugins.models.anthropic._answer import message
from agentops.plugins.models.anthropic._events import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentops.core.ports.model import Order

_OURS: Final = "_metadata"
"""What is told of a call beside the answer; no provider says it in our place."""

_LAST: Final = Piece(b'{"type":"message_stop"}', "message_stop")


def as_asked(order: Order) -> bytes:
    streamed: dict[str, Any] = {"stream": True} if order.streamed else {}
    return msgspec.json.encode({"model": order.model, **streamed, **order.fields})


def as_answered(body: bytes) -> Whole:
    found = message(body, "messages")
    return Whole(_handed_on(body), None if found.usage is None else found.usage.usage())


class Relayed:
    """Feed it each event's data; `rest` is what there is to say behind the last of them."""

    def __init__(self) -> None:
        self.progress = Progress("messages")
        self._ended = False

    def feed(self, data: str) -> Iterator[Piece]:
        event = self.progress.read(data)
        self._ended = event.type == "message_stop"
        counted = self.progress.counted if event.usage is not None or event.message is not None else None
        yield Piece(
            _handed_on(data.encode()),
            event.type,
            None if counted is None else counted.usage(),
            "" if event.delta is None else event.delta.wrote,
        )

    def rest(self) -> Iterator[Piece]:
        """The last word, should it have been lost behind an answer that was whole."""
        if not self._ended:
            yield _LAST


def _handed_on(raw: bytes) -> bytes:
    """On one line, for a stream has it so."""
    found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    if found.pop(_OURS, None) is not None:
        raw = msgspec.json.encode(found)
    return msgspec.json.format(raw, indent=-1) if b"\n" in raw or b"\r" in raw else raw
