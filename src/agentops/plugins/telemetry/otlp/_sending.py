"""What there is is sent now and then, by one task; the work of encoding it is done in a thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agentops.plugins.telemetry.otlp._line import Outcome
from agentops.plugins.telemetry.otlp._metrics import encoded_figures
from agentops.plugins.telemetry.otlp._spans import encoded_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from agentops.core.signals import Signals
    from agentops.figures import Figure
    from agentops.plugins.telemetry.otlp._line import Line
    from agentops.plugins.telemetry.otlp._spans import WaitingSpans

    FiguresNow = Callable[[], Sequence[tuple[str, Figure]]]

BATCH: Final = 512


class SendsSpans:
    """Batch by batch; a batch that was not taken goes back to wait."""

    def __init__(
        self, spans: WaitingSpans, line: Line, signals: Signals, resource: Resource, scope: InstrumentationScope
    ) -> None:
        self._spans = spans
        self._line = line
        self._signals = signals
        self._origin = resource, scope

    async def send(self) -> None:
        while len(self._spans) and self._line.may_be_used:
            batch = self._spans.take(BATCH)
            try:
                outcome = await self._line.send(await asyncio.to_thread(encoded_spans, batch, *self._origin))
            except asyncio.CancelledError:
                self._spans.put_back(batch)
                raise
            if outcome is Outcome.LATER:
                self._spans.put_back(batch)
                break
            if outcome is Outcome.REFUSED:
                self._spans.lost += len(batch)
        if lost := self._spans.take_lost():
            self._signals.count("otlp.spans_lost", lost)


class SendsFigures:
    """What was not taken is in what is sent next."""

    def __init__(
        self, figures: FiguresNow, line: Line, resource: Resource, scope: InstrumentationScope, began_ns: int
    ) -> None:
        self._figures = figures
        self._line = line
        self._origin = resource, scope, began_ns

    async def send(self) -> None:
        if (figures := self._figures()) and self._line.may_be_used:
            await self._line.send(await asyncio.to_thread(encoded_figures, figures, *self._origin))


async def when_due(seconds: float, woken: asyncio.Event) -> None:
    """Return after so long, or as soon as somebody says that there is enough to send."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()
    woken.clear()
