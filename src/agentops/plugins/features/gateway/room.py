"""How much of requests is in memory at once: a bound for all of them together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentops.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from agentops.core.signals import Signals


class Room:
    """Counts bytes. A request is counted before it is read, by the length that it declares."""

    def __init__(self, most: int, signals: Signals) -> None:
        self._most = most
        self._taken = 0
        self._signals = signals

    @contextmanager
    def taken(self, size: int) -> Generator[None]:
        """Refuse what does not fit beside the others; alone, everything fits that a body may be."""
        if self._taken and self._taken + size > self._most:
            self._signals.count("llm.refused_bytes", size)
            raise Unavailable("more is asked at once than this server holds in memory", code="overloaded")
        self._change(size)
        try:
            yield
        finally:
            self._change(-size)

    def _change(self, size: int) -> None:
        self._taken += size
        self._signals.gauge("llm.bytes_in_flight", self._taken)


def declared_length(headers: Iterable[tuple[bytes, bytes]], most: int) -> int:
    """What a body may come to: what it says of itself, or whatever one may be."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return min(int(value), most)
    return most
