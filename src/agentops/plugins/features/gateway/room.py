"""How much of requests is in memory at once: a bound for all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentops.core.signals import Signals


class Room:
    """Counts bytes. A request is counted before it is read, by the length that it declares."""

    def __init__(self, most: int, signals: Signals) -> None:
        self._most = most
        self._taken = 0
        self._signals = signals

    def take(self, size: int) -> Place:
        """Refuse what does not fit beside the others; alone, everything fits that a body may be."""
        if self._taken and self._taken + size > self._most:
            self._signals.count("llm.refused_bytes", size)
            raise Unavailable("more is asked at once than this server holds in memory", code="overloaded")
        self._change(size)
        return Place(size, self._change)

    def _change(self, size: int) -> None:
        self._taken += size
        self._signals.gauge("llm.bytes_in_flight", self._taken)


class Place:
    """What one request takes, until it is given back; after that nothing more happens."""

    __slots__ = ("_change", "_size")

    def __init__(self, size: int, change: Callable[[int], None]) -> None:
        self._size = size
        self._change = change

    def give_back(self) -> None:
        size, self._size = self._size, 0
        if size:
            self._change(-size)


def declared_length(headers: Iterable[tuple[bytes, bytes]], most: int) -> int:
    """What a body may come to: what it says of itself, or whatever one may be."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return min(int(value), most)
    return most
