"""Processor time, which tells more than the clock on a machine that others use as well."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.server import Server


@dataclass(frozen=True, slots=True)
class Cost:
    """What was spent in so many seconds, and what others spent on the cores of the server."""

    seconds: float
    server: float
    behind: float
    load: float
    others: float

    def each(self, count: int) -> str:
        """The server's part for one of so many requests or frames, and that of the database behind it."""
        behind = f" and {_microseconds(self.behind / count)} behind it" if self.behind else ""
        return f"{_microseconds(self.server / count)} server CPU{behind} each"

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
        seconds, server, behind, load, busy = (
            now - before for now, before in zip(self._now(), self._before, strict=True)
        )
        return Cost(seconds, server, behind, load, max(0.0, busy - server - behind))

    def _now(self) -> tuple[float, float, float, float, float]:
        server, load = self._server, time.process_time()
        shared = load if server.shares_load else 0.0
        return time.perf_counter(), server.cpu_seconds(), spent_by(server.behind), load, _busy(server.cores) - shared


def spent_by(roots: Iterable[psutil.Process]) -> float:
    """The seconds of these processes and of all that they started, those that have ended included."""
    return sum(_ended(root) + sum(map(_spent, [root, *root.children(recursive=True)])) for root in roots)


def _ended(root: psutil.Process) -> float:
    times = root.cpu_times()
    return getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)


def _spent(process: psutil.Process) -> float:
    if sys.platform == "linux":
        # The clock of another process, in nanoseconds; what psutil reads comes in hundredths of a second.
        try:
            return time.clock_gettime((~process.pid << 3) | 2)
        except OSError:
            return 0.0
    times = process.cpu_times()
    return times.user + times.system


def _busy(cores: Sequence[int]) -> float:
    if not cores:
        return 0.0
    every = psutil.cpu_times(percpu=True)
    return sum(sum(every[core]) - every[core].idle - getattr(every[core], "iowait", 0.0) for core in cores)


def _microseconds(seconds: float) -> str:
    microseconds = seconds * 1e6
    return f"{microseconds:.{1 if microseconds < 10 else 0}f} µs"
