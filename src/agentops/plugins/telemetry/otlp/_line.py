"""Traces and figures go to two paths of a collector, either of which may fail while the other works."""

from __future__ import annotations

import time
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agentops.plugins.telemetry.otlp._collector import NotReached

if TYPE_CHECKING:
    from agentops.core.signals import Signals
    from agentops.plugins.telemetry.otlp._collector import Collector

_LATER: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Answers after which the same may be sent again, as OTLP says."""


class Outcome(Enum):
    """What became of something that was sent."""

    TAKEN = auto()
    LATER = auto()
    REFUSED = auto()


class _Troubles:
    """Told of once for each reason, and once more when there is none left."""

    def __init__(self, signals: Signals, endpoint: str) -> None:
        self._signals = signals
        self._endpoint = endpoint
        self._reasons: dict[str, str] = {}

    def begin(self, what: str, reason: str) -> None:
        if what in self._reasons:
            return
        is_new = reason not in self._reasons.values()
        self._reasons[what] = reason
        if is_new:
            self._signals.event(
                "otlp.failing",
                "warning",
                endpoint=self._endpoint,
                what=what,
                reason=reason,
                meaning="what is told meanwhile is lost once too much of it waits",
            )

    def end(self, what: str) -> None:
        if self._reasons.pop(what, None) is not None and not self._reasons:
            self._signals.event("otlp.works_again", "warning", endpoint=self._endpoint)


class Line:
    """Where one of the two is sent."""

    def __init__(self, collector: Collector, what: str, troubles: _Troubles) -> None:
        self._collector = collector
        self._what = what
        self._troubles = troubles
        self._not_before = 0.0

    @property
    def may_be_used(self) -> bool:
        """Whether the collector has not asked to be left alone."""
        return time.monotonic() >= self._not_before

    async def send(self, body: bytes) -> Outcome:
        try:
            answer = await self._collector.post(f"/v1/{self._what}", body)
        except NotReached as error:
            self._troubles.begin(self._what, str(error))
            return Outcome.LATER
        if 200 <= answer.status < 300:
            self._troubles.end(self._what)
            return Outcome.TAKEN
        self._not_before = time.monotonic() + answer.retry_after
        self._troubles.begin(self._what, f"it answered {answer.status}")
        return Outcome.LATER if answer.status in _LATER else Outcome.REFUSED


def lines(collector: Collector, signals: Signals, endpoint: str) -> tuple[Line, Line]:
    """For traces and for metrics."""
    troubles = _Troubles(signals, endpoint)
    return Line(collector, "traces", troubles), Line(collector, "metrics", troubles)
