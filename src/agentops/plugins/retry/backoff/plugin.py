"""The loop: attempt, judge, wait, attempt again; and what is told of it."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from msgspec import Meta, field

from agentops.core.errors import Unavailable
from agentops.core.plugin import Settings
from agentops.core.ports.health import Health
from agentops.core.ports.retry import Retry, T
from agentops.core.problem import Problem
from agentops.core.signals import Signals
from agentops.plugins.retry.backoff._faults import fault_of
from agentops.plugins.retry.backoff._target import Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping

    from agentops.core.ports.telemetry import Level
    from agentops.core.ports.tracing import SpanValue
    from agentops.core.rungs import Rungs
    from agentops.plugins.retry.backoff._faults import Fault

TARGETS_MOST: Final = 1_000

Status = Annotated[int, Meta(ge=400, le=599)]
Seconds = Annotated[float, Meta(gt=0)]


class BackoffSettings(Settings):
    """`[retry]` with `use = "backoff"`."""

    attempts: Annotated[int, Meta(ge=1)] = 3
    """How often a call is made at most, the first time included."""
    base_seconds: Seconds = 0.25
    factor: Annotated[float, Meta(ge=1)] = 2.0
    most_seconds: Seconds = 5.0
    """Waits grow from the base by the factor, up to this."""
    jitter: Annotated[float, Meta(ge=0, le=1)] | None = None
    """The share by which a wait varies to both sides. Without it a wait after a fault is anything up to the full one,
    and after a 429 at least half of it."""
    statuses: frozenset[Status] = field(default_factory=lambda: frozenset({408, 429, 500, 502, 503, 504}))
    """Answers that are worth another attempt, unless they say otherwise themselves by `x-should-retry`."""
    longest_asked_seconds: Annotated[float, Meta(ge=0)] = 30.0
    """A target that asks to be left alone for longer has its answer handed on."""
    breaker_faults: Annotated[int, Meta(ge=1)] = 20
    """After so many faults in a row a target is left alone."""
    breaker_seconds: Seconds = 30.0
    events: str = "llm"
    """What the events are called: `llm.retry`, `llm.retry_success`, `llm.retry_exhausted`."""


class Backoff(Retry[BackoffSettings]):
    """Faults wait by chance, so that callers who failed together do not come back together."""

    def __init__(self, settings: BackoffSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self._signals = Signals()
        self._targets: OrderedDict[str, Target] = OrderedDict()
        self._random = random.Random()  # noqa: S311 - nobody gains by guessing when we come back

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._signals = rungs.signals
        yield

    def check(self) -> Iterable[Problem]:
        if self.settings.base_seconds > self.settings.most_seconds:
            yield Problem(
                "base_seconds",
                "the first wait is longer than the longest",
                "waits would never grow",
                f"write at most {self.settings.most_seconds:g}, or a larger most_seconds",
            )

    @property
    def critical(self) -> bool:
        """Those who ask a target that is down are told; all others are served."""
        return False

    async def health(self) -> Health:
        down = sorted(name for name, target in self._targets.items() if target.is_open)
        return Health("degraded", {"left_alone": down}) if down else Health()

    async def call(
        self,
        operation: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        target: str = "",
        seconds: float | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> T:
        until = None if seconds is None else time.monotonic() + seconds
        call = _Call(operation, {"operation": operation, **(labels or {})}, target or operation, until)
        at = self._target(target or operation)
        closed = at.closed_for()
        if closed is not None:
            raise Unavailable(
                f"{target or operation} failed {self.settings.breaker_faults} times in a row and is left alone",
                code="target_down",
                retry_after=max(1, round(closed)),
            )
        at.called()
        trying = at.is_open
        try:
            return await self._until_it_holds(call, at, attempt)
        finally:
            if trying:
                at.left()

    async def _until_it_holds(self, call: _Call, at: Target, attempt: Callable[[], Awaitable[T]]) -> T:
        for tries in itertools.count(1):
            try:
                with self._signals.span(call.operation, "client", **call.described(tries)):
                    result = await attempt()
            except Exception as error:
                fault = fault_of(error, self.settings.statuses)
                if fault.targets and at.failed():
                    self._tell("breaker_opened", "warning", call, seconds=self.settings.breaker_seconds)
                wait = self._wait(call, at, fault, tries)
                if wait is None:
                    if fault.again:
                        self._tell("retry_exhausted", "warning", call, tries=tries, reason=fault.reason)
                        self._signals.count("llm.retry_exhausted", **call.labels)
                    raise
                self._tell("retry", "info", call, tries=tries, reason=fault.reason, delay_ms=round(wait * 1000))
                self._signals.observe("llm.retry.delay_ms", wait * 1000, **call.labels)
            else:
                if at.answered():
                    self._tell("breaker_closed", "info", call)
                if tries > 1:
                    self._tell("retry_success", "info", call, tries=tries)
                return result
            await asyncio.sleep(wait)
        raise AssertionError("there is always another number")

    def _wait(self, call: _Call, at: Target, fault: Fault, tries: int) -> float | None:
        """Seconds before the next attempt, or nothing when there is to be none."""
        if not fault.again or tries >= self.settings.attempts:
            return None
        if fault.wait is not None and fault.wait > self.settings.longest_asked_seconds:
            return None
        wait = max(fault.wait or 0.0, self._varied(fault, tries))
        if call.until is not None and time.monotonic() + wait >= call.until:
            return None
        return wait if at.may_be_asked_again() else None

    def _varied(self, fault: Fault, tries: int) -> float:
        full = min(self.settings.most_seconds, self.settings.base_seconds * self.settings.factor ** (tries - 1))
        if self.settings.jitter is not None:
            return full * self._random.uniform(1 - self.settings.jitter, 1 + self.settings.jitter)
        return self._random.uniform(full / 2 if fault.throttled else 0, full)

    def _target(self, name: str) -> Target:
        """Those that were not asked for the longest time are forgotten first."""
        target = self._targets.pop(name, None)
        if target is None:
            target = Target(self.settings.breaker_faults, self.settings.breaker_seconds, time.monotonic)
        self._targets[name] = target
        if len(self._targets) > TARGETS_MOST:
            self._targets.popitem(last=False)
        return target

    def _tell(self, what: str, level: Level, call: _Call, **fields: object) -> None:
        self._signals.event(f"{self.settings.events}.{what}", level, **{"target": call.target, **call.labels}, **fields)


class _Call(NamedTuple):
    """One call, however many attempts it takes."""

    operation: str
    labels: dict[str, str]
    target: str
    until: float | None

    def described(self, tries: int) -> dict[str, SpanValue]:
        return {**self.labels, "attempt": tries}
