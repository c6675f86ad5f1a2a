"""Counts of a single process."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from agentops.core.plugin import Settings
from agentops.core.ports.limiter import Limiter, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from agentops.core.ports.limiter import Rate
    from agentops.core.rungs import Rungs

SLOTS: Final = 60
"""What was counted leaves a window in so many steps, each up to one step late: more are finer, and cost more."""


class MemorySettings(Settings):
    """`[limiter]` with `use = "memory"`."""

    keys_most: Annotated[int, Meta(ge=1)] = 100_000
    """Of more callers than this, those who came longest ago are forgotten, and may begin anew."""


class Memory(Limiter[MemorySettings]):
    """Windows that move with the clock."""

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._windows: OrderedDict[tuple[str, Rate], _Window] = OrderedDict()
        yield

    async def hit(self, key: str, rates: Sequence[Rate], cost: int = 1) -> Verdict:
        now = time.monotonic()
        windows = [self._window(key, rate) for rate in rates]
        for window in windows:
            window.forget(now)
        wait = max((window.wait(cost, now) for window in windows), default=0.0)
        if wait == 0:
            for window in windows:
                window.add(cost, now)
        return Verdict(wait == 0, wait, tuple(window.rate.amount - window.count for window in windows))

    def _window(self, key: str, rate: Rate) -> _Window:
        name = (key, rate)
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = _Window(rate)
            if len(self._windows) > self.settings.keys_most:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(name)
        return window


class _Window:
    """How much was counted in each slot of it."""

    __slots__ = ("count", "rate", "slots", "width")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.width = rate.seconds / SLOTS
        self.count = 0
        self.slots: deque[tuple[int, int]] = deque()

    def forget(self, now: float) -> None:
        """A slot is left out when all of it lies before the window."""
        first = int(now / self.width) - SLOTS
        while self.slots and self.slots[0][0] < first:
            self.count -= self.slots.popleft()[1]

    def add(self, cost: int, now: float) -> None:
        slot = int(now / self.width)
        self.count += cost
        if self.slots and self.slots[-1][0] == slot:
            cost += self.slots.pop()[1]
        self.slots.append((slot, cost))

    def wait(self, cost: int, now: float) -> float:
        """Seconds until there is room; the length of the window for what never fits."""
        room = self.rate.amount - self.count
        if cost <= room:
            return 0.0
        for slot, count in self.slots:
            room += count
            if cost <= room:
                return (slot + SLOTS + 1) * self.width - now
        return float(self.rate.seconds)
