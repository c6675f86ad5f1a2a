"""A streamed answer, read event by event until it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agentops.core.ports.model import ModelLost
from agentops.outgoing.events import Events

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from agentops.core.ports.model import Piece
    from agentops.outgoing.events import Event
    from agentops.outgoing.exchange import Exchange


class Reading(Protocol):
    """Takes the events of one streamed answer, in the words of one API."""

    @property
    def is_over(self) -> bool:
        """Whether the answer has said that it ends here."""
        ...

    def take(self, event: Event) -> Iterable[Piece]: ...

    def is_whole(self, *, was_cut: bool) -> bool:
        """Whether nothing is missing, should no more come."""
        ...

    def rest(self) -> Iterable[Piece]:
        """What there is to say behind the last event."""
        ...


async def pieces_of(answer: Exchange, reading: Reading) -> AsyncGenerator[Piece]:
    """Raise `ModelLost` for an answer that ends before it is whole."""
    events = Events()
    while not reading.is_over and (some := await _next(answer, reading)):
        for event in events.feed(some):
            for piece in reading.take(event):
                yield piece
            if reading.is_over:
                break
    for piece in reading.rest():
        yield piece
    answer.leave_at_end()


async def _next(answer: Exchange, reading: Reading) -> bytes:
    """Return some more of the stream; nothing when it ended, with all of the answer there."""
    try:
        some = await answer.read()
    except ModelLost:
        if reading.is_whole(was_cut=True):
            return b""
        raise
    if not some and not reading.is_whole(was_cut=False):
        raise ModelLost("the provider's stream ended before its answer did")
    return some
