"""How the parts of a deployment are: asked in time, remembered for a while, and never by two at once."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.errors import Refusal
from agentops.core.ports.health import ChecksHealth, Health, HealthStatus
from agentops.core.serving import apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentops.core.plugin import Plugin
    from agentops.core.ports.telemetry import Level
    from agentops.core.signals import Signals

TIMEOUT_SECONDS: Final = 3.0
KEPT_SECONDS: Final = 30.0
_LEVELS: Final[dict[HealthStatus, float]] = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0}


class Component(msgspec.Struct, kw_only=True, omit_defaults=False):
    """One part, as it was when it was last asked."""

    status: HealthStatus
    response_time_ms: float
    critical: bool
    checked_at: float
    details: dict[str, Any] = {}


class HealthReport(msgspec.Struct, kw_only=True):
    """The whole: unhealthy when a critical part is, degraded when anything is less than healthy."""

    status: HealthStatus
    components: dict[str, Component]


class HealthChecks:
    """Asks those parts that can tell."""

    def __init__(
        self,
        parts: Iterable[tuple[str, Plugin[Any]]],
        down: Mapping[str, str],
        signals: Signals,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        """`down` holds the authenticators that could not start, and why."""
        self._parts = {name: part for name, part in parts if isinstance(part, ChecksHealth)}
        self._down = {f"auth.{name}": why for name, why in down.items()}
        self._signals = signals
        self._timeout = timeout_seconds
        self._kept = kept_seconds
        self.draining = False
        """Whether the server is about to stop, and wants no new requests."""
        self._known: dict[str, tuple[float, Component]] = {}
        self._asking: dict[str, asyncio.Task[Component]] = {}

    async def report(self) -> HealthReport:
        names = list(self._parts)
        found = await asyncio.gather(*(self._current(name) for name in names))
        components = dict(zip(names, found, strict=True)) | {name: self._not_started(name) for name in self._down}
        return HealthReport(status=_whole(components.values()), components=components)

    @property
    def names(self) -> Sequence[str]:
        """Of the parts that can be asked, or could not start."""
        return sorted({*self._parts, *self._down})

    async def component(self, name: str) -> Component | None:
        if name in self._down:
            return self._not_started(name)
        return await self._current(name) if name in self._parts else None

    async def _current(self, name: str) -> Component:
        asked_at, known = self._known.get(name, (-math.inf, None))
        if known is not None and time.monotonic() - asked_at < self._kept:
            return known
        if name not in self._asking:
            self._asking[name] = apart(self._ask(name))
            self._asking[name].add_done_callback(lambda _: self._asking.pop(name))
        return await asyncio.shield(self._asking[name])

    async def _ask(self, name: str) -> Component:
        began = time.monotonic()
        health = await self._answer(self._parts[name])
        component = Component(
            status=health.status,
            response_time_ms=round((time.monotonic() - began) * 1000, 2),
            critical=self._parts[name].critical,
            checked_at=time.time(),
            details=health.details,
        )
        self._tell(name, component)
        self._known[name] = time.monotonic(), component
        return component

    async def _answer(self, part: ChecksHealth) -> Health:
        """One that does not even end when it is cancelled is left behind."""
        asking = asyncio.create_task(_health_of(part))
        await asyncio.wait({asking}, timeout=self._timeout)
        if asking.done():
            return asking.result()
        asking.cancel()
        return Health("unhealthy", {"reason": f"no answer within {self._timeout:g} s"})

    def _tell(self, name: str, component: Component) -> None:
        """The level always, and a change as an event."""
        self._signals.gauge("health", _LEVELS[component.status], component=name)
        before = self._known.get(name, (0, None))[1]
        if component.status != (before.status if before is not None else "healthy"):
            level: Level = "info" if component.status == "healthy" else "warning"
            self._signals.event("health.changed", level, component=name, status=component.status, **component.details)

    def _not_started(self, name: str) -> Component:
        details = {"reason": self._down[name]}
        return Component(
            status="unhealthy", response_time_ms=0, critical=False, checked_at=time.time(), details=details
        )


async def _health_of(part: ChecksHealth) -> Health:
    try:
        return await part.health()
    except Refusal as refusal:
        return Health("unhealthy", {"reason": refusal.message or refusal.title})
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and its words may quote a secret
        return Health("unhealthy", {"reason": type(error).__name__})


def _whole(components: Iterable[Component]) -> HealthStatus:
    found = list(components)
    if any(component.status == "unhealthy" and component.critical for component in found):
        return "unhealthy"
    return "healthy" if all(component.status == "healthy" for component in found) else "degraded"
