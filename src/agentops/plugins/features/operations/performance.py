"""How often each route was asked, and how long that took."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from agentops.core.plugin import NoSettings
from agentops.core.ports.telemetry import Telemetry
from agentops.core.signals import REQUEST_SECONDS

if TYPE_CHECKING:
    from agentops.core.ports.telemetry import Level

_STEP: Final = math.log(1.05)
"""Durations that differ by less than a twentieth are told as one."""
_SHORTEST: Final = 1e-6


class RouteFigures(msgspec.Struct, rename="camel"):
    """One route since the process started; times are milliseconds."""

    method: str
    route: str
    count: int
    errors: int
    p50: float
    p95: float
    p99: float


class Performance(Telemetry[NoSettings]):
    """Listens to the durations of requests; a process counts for itself."""

    def __init__(self) -> None:
        super().__init__()
        self._durations: dict[tuple[str, str], Counter[int]] = {}
        self._errors: Counter[tuple[str, str]] = Counter()

    def event(self, name: str, level: Level, fields: dict[str, object]) -> None:
        """Events are nothing to it."""

    def observe(self, name: str, value: float, labels: dict[str, str]) -> None:
        if name != REQUEST_SECONDS:
            return
        route = labels["method"], labels["route"]
        self._durations.setdefault(route, Counter())[int(math.log(max(value, _SHORTEST) / _SHORTEST) / _STEP)] += 1
        if labels["status"].startswith("5"):
            self._errors[route] += 1

    def figures(self) -> list[RouteFigures]:
        return [
            RouteFigures(
                method,
                route,
                durations.total(),
                self._errors[method, route],
                *(_percentile(durations, part) for part in (0.5, 0.95, 0.99)),
            )
            for (method, route), durations in sorted(self._durations.items())
        ]


def _percentile(durations: Counter[int], part: float) -> float:
    wanted, seen = part * durations.total(), 0
    for step, count in sorted(durations.items()):
        seen += count
        if seen >= wanted:
            return round(_SHORTEST * math.exp((step + 0.5) * _STEP) * 1000, 3)
    return 0.0
