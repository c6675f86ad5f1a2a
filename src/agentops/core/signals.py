"""What the rest of the program tells: named events and figures, handed to every telemetry sink there is."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agentops.core.ports.telemetry import Level, Telemetry

REQUEST: Final = "request"
"""The event of each request, told when it is answered, and of each stream when it ends."""
REQUEST_SECONDS: Final = "http.request.seconds"

_log = logging.getLogger("agentops")


class Signals:
    """Fans out to the sinks. One that fails costs its own data and a warning, never a request."""

    def __init__(self) -> None:
        self._sinks: list[Telemetry] = []
        self._warned: set[str] = set()

    @contextmanager
    def told_to(self, sink: Telemetry) -> Generator[None]:
        """Hand everything to this sink as well, for as long as the block lasts."""
        self._sinks.append(sink)
        try:
            yield
        finally:
            self._sinks.remove(sink)

    def event(self, name: str, level: Level = "info", /, **fields: object) -> None:
        self._each(lambda sink: sink.event(name, level, fields))

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        self._each(lambda sink: sink.count(name, amount, labels))

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self._each(lambda sink: sink.observe(name, value, labels))

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self._each(lambda sink: sink.gauge(name, value, labels))

    def _each(self, tell: Callable[[Telemetry], None]) -> None:
        for sink in self._sinks:
            try:
                tell(sink)
            except Exception as error:  # noqa: BLE001 - a stranger's sink may raise anything
                self._warn_once(sink, error)

    def _warn_once(self, sink: Telemetry, error: Exception) -> None:
        name = type(sink).__qualname__
        if name not in self._warned:
            self._warned.add(name)
            _log.warning("telemetry sink %s failed and loses data: %s", name, type(error).__name__)
