"""Whoever listens to a bus in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.core.ports.bus import Listener, Ring
    from agentops.core.signals import Signals


class Listeners:
    """Calls them at once, in the order in which they came."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self._listeners: dict[object, Listener] = {}

    def tell(self, ring: Ring) -> None:
        """One that fails is told of, and costs nobody else."""
        for place, listener in tuple(self._listeners.items()):
            if place in self._listeners:
                try:
                    listener(ring)
                except Exception as error:  # noqa: BLE001 - what a listener raises is not the ringer's fault
                    self.signals.event("bus.listener_failed", "error", error=error)

    def add(self, listener: Listener) -> Callable[[], None]:
        place = object()
        self._listeners[place] = listener

        def silence() -> None:
            self._listeners.pop(place, None)

        return silence
