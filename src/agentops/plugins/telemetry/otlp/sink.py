"""The sink: adds up what it is told, keeps spans for a moment, and hands both to a collector."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from agentops._version import __version__
from agentops.core.forever import in_background
from agentops.figures import KeepsFigures
from agentops.outgoing.headers import FRAMING, wrong_headers
from agentops.plugins.telemetry.otlp._collector import Collector
from agentops.plugins.telemetry.otlp._line import lines
from agentops.plugins.telemetry.otlp._metrics import metric_name
from agentops.plugins.telemetry.otlp._sending import BATCH, SendsFigures, SendsSpans, when_due
from agentops.plugins.telemetry.otlp._spans import WaitingSpans
from agentops.plugins.telemetry.otlp.settings import OtlpSettings, wrong_endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from agentops.core.ports.tracing import EndedSpan
    from agentops.core.problem import Problem
    from agentops.core.rungs import Rungs
    from agentops.core.signals import Signals
    from agentops.figures import FigureKind

_LOW_HALF: Final = 2**64 - 1


class Otlp(KeepsFigures[OtlpSettings]):
    """Traces and figures for an OpenTelemetry collector; events are counted."""

    def __init__(self, settings: OtlpSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self._spans = WaitingSpans(self.settings.spans_most)
        self._enough = asyncio.Event()
        self._bound = round(self.settings.sample * (_LOW_HALF + 1))
        self._began_ns = 0

    def check(self) -> Iterable[Problem]:
        yield from wrong_endpoint(self.settings)
        yield from wrong_headers(self.settings.headers, FRAMING | {"user-agent"})
        yield from super().check()

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._began_ns = self._began_ns or time.time_ns()
        senders = self._senders(rungs.signals)

        async def send() -> None:
            for sender in senders:
                await sender.send()

        async def step() -> None:
            await when_due(self.settings.interval_seconds, self._enough)
            await send()

        try:
            async with in_background(rungs.signals, {"otlp": step}):
                yield
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.stop_seconds):
                    await send()
            if unsent := len(self._spans):
                rungs.signals.event("otlp.unsent", "warning", endpoint=self.settings.endpoint, spans=unsent)

    @property
    def wants_spans(self) -> bool:
        return self.settings.traces

    def samples(self, trace_id: int) -> bool:
        """As the samplers of OpenTelemetry do, so that two servers that ask for the same share take the same traces."""
        return trace_id & _LOW_HALF < self._bound

    def span(self, span: EndedSpan) -> None:
        if self._spans.add(span) and len(self._spans) == BATCH:
            self._enough.set()

    def name_of(self, name: str, kind: FigureKind) -> str:
        return metric_name(self.settings.prefix, name)

    def _senders(self, signals: Signals) -> Sequence[SendsSpans | SendsFigures]:
        """Figures last, for what was lost is one of them."""
        endpoint = self.settings.endpoint
        collector = Collector(endpoint, self.settings.headers, self.settings.timeout_seconds)
        traces, metrics = lines(collector, signals, endpoint)
        scope = InstrumentationScope("agentops", __version__)
        resource = self._resource()
        spans = SendsSpans(self._spans, traces, signals, resource, scope)
        figures = SendsFigures(self.now, metrics, resource, scope, self._began_ns)
        return [spans, figures] if self.settings.metrics else [spans]

    def _resource(self) -> Resource:
        """Each process is an instance of its own: its figures begin at nothing."""
        return Resource(
            {
                "service.version": __version__,
                "service.instance.id": str(uuid.uuid4()),
                **self.settings.attributes,
                "service.name": self.settings.service,
            }
        )
