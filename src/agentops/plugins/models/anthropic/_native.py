"""Anthropic's own API, handed through: nothing is changed, and what was used is read along the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.ports.model import Piece, Whole
from agentops.outgoing import one_line
from agentops.plugins.models.anthropic._events import Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from agentops.core.ports.model import Order
    from agentops.outgoing import Event
    from agentops.plugins.models.anthropic._answer import Message

_LAST: Final = Piece(b'{"type":"message_stop"}', "message_stop")


def as_asked(order: Order) -> bytes:
    """The model and whether it is streamed are said by the order, and by no field."""
    said = {name: raw for name, raw in order.fields.items() if name not in {"model", "stream"}}
    streamed: dict[str, Any] = {"stream": True} if order.streamed else {}
    return msgspec.json.encode({"model": order.model, **streamed, **said})


def as_answered(found: Message, body: bytes) -> Whole:
    return Whole(body, None if found.usage is None else found.usage.usage())


class Relayed(Progress):
    """Every event as it came."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__("messages", secrets)

    def take(self, event: Event) -> Iterator[Piece]:
        said = self.read(event)
        has_counted = said.usage is not None or said.message is not None
        _, line = one_line(event.data)
        yield Piece(line, said.type, self.usage if has_counted else None, said.delta.wrote if said.delta else "")

    def rest(self) -> Iterator[Piece]:
        """The last word, should it have been lost behind an answer that was whole."""
        if not self.is_over:
            yield _LAST
