"""The bell of a single process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agentops.core.listeners import Listeners
from agentops.core.plugin import NoSettings
from agentops.core.ports.bus import Bus
from agentops.core.signals import Signals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from agentops.core.ports.bus import Listener, Ring
    from agentops.core.rungs import Rungs


class Memory(Bus[NoSettings]):
    """Calls its listeners at once; other processes do not hear it."""

    def __init__(self, settings: NoSettings | None = None) -> None:
        super().__init__(settings)
        self._listeners = Listeners(Signals())

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._listeners.signals = rungs.signals
        yield

    def ring(self, ring: Ring) -> None:
        self._listeners.tell(ring)

    def listen(self, listener: Listener) -> Callable[[], None]:
        return self._listeners.add(listener)
