"""Bus: a doorbell between instances. It says that there is something to read, and carries nothing else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

import msgspec

from agentops.core.plugin import Kind, Plugin, S

CREDENTIALS: Final = "\0credentials"
"""In the place of a project: a credential or right was changed. `run` is who says so, and `upto` how often it did."""


class Ring(msgspec.Struct, frozen=True, array_like=True):
    """What is said: in this project, this run has events up to this id."""

    project: str
    run: str
    upto: int


Listener = Callable[[Ring], None]


class Bus(Plugin[S]):
    """A lost ring costs a poll interval, never an event.

    Of the rings of one run the newest is heard, in the end, and none after a newer one; those between may be left
    out. A listener is called on the event loop and must not block; what it raises costs nobody else.
    """

    kind: ClassVar[Kind] = "bus"
    spans_processes: ClassVar[bool] = False
    """Whether a ring reaches other processes; several workers need one that does."""

    @abstractmethod
    def ring(self, ring: Ring) -> None:
        """Tell the others, soon; never wait for them and never raise."""

    @abstractmethod
    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call the listener for each ring, one's own included; the returned function ends that, at once."""
