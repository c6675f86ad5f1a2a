"""Processor time, which tells more than the clock on a machine that others use as well."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from bench.server import Server


@dataclass(frozen=True, slots=True)
class Cost:
    """What was spent in so many seconds, and what others spent on the server's core."""

    seconds: float
    server: float
    load: float
    others: float

    def each(self, count: int) -> str:
        """The server's part for one of so many requests or frames."""
        microseconds = self.server / count * 1e6
        return f"{microseconds:.{1 if microseconds < 10 else 0}f} µs server CPU each"

    def story(self, count: int) -> str:
        shares = (
            f"load {self.load / self.seconds:.0%} of its core, others {self.others / self.seconds:.0%} of the server's"
        )
        return f"{self.each(count)}; {shares}"


class Spending:
    """Begins when it is made."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = self._now()

    def so_far(self) -> Cost:
        seconds, server, load, core = (now - before for now, before in zip(self._now(), self._before, strict=True))
        return Cost(seconds, server, load, max(0.0, core - server))

    def _now(self) -> tuple[float, float, float, float]:
        core = self._server.core
        busy = 0.0 if core is None else _busy(core)
        return time.perf_counter(), self._server.cpu_seconds(), time.process_time(), busy


def _busy(core: int) -> float:
    times = psutil.cpu_times(percpu=True)[core]
    waiting: float = times.idle + getattr(times, "iowait", 0.0)
    return sum(times) - waiting
