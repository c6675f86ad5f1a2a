"""The bell of a single process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

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
        self._listeners: dict[object, Listener] = {}
        self._signals = Signals()

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._signals = rungs.signals
        yield

    def ring(self, ring: Ring) -> None:
        for place, listener in tuple(self._listeners.items()):
            if place in self._listeners:
                try:
                    listener(ring)
                except Exception as error:  # noqa: BLE001 - what a listener raises is not the ringer's fault
                    self._signals.event("bus.listener_failed", "error", error=error)

    def listen(self, listener: Listener) -> Callable[[], None]:
        place = object()
        self._listeners[place] = listener

        def silence() -> None:
            self._listeners.pop(place, None)

        return silence
