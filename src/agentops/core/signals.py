"""What the rest of the program tells: named events, figures and spans, handed to every telemetry sink there is."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from random import getrandbits
from typing import TYPE_CHECKING, Final

from agentops.core.ports.tracing import Traces
from agentops.core.serving import SERVED
from agentops.core.trace_context import caller_of
from agentops.core.tracing import NO_SPAN, Span, Trace, UnsampledSpan, current

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from agentops.core.ports.telemetry import Level, Telemetry
    from agentops.core.ports.tracing import EndedSpan, SpanKind, SpanValue
    from agentops.core.trace_context import Caller
    from agentops.core.tracing import AnySpan, NoSpan

REQUEST: Final = "request"
"""The event of each request, told when it is answered, and of each stream when it ends."""
REQUEST_SECONDS: Final = "http.request.seconds"

_log = logging.getLogger("agentops")


class Signals:
    """Fans out to the sinks. One that fails costs its own data and a warning, never a request.

    Each kind has a loop of its own: what they have in common would be one more call, many times in every request.
    """

    def __init__(self) -> None:
        self._sinks: list[Telemetry] = []
        self._tracing: list[Traces] = []
        self._warned: set[str] = set()

    @contextmanager
    def told_to(self, sink: Telemetry) -> Generator[None]:
        """Hand everything to this sink as well, for as long as the block lasts."""
        traces = [sink] if isinstance(sink, Traces) and sink.wants_spans else []
        self._sinks.append(sink)
        self._tracing += traces
        try:
            yield
        finally:
            self._sinks.remove(sink)
            for each in traces:
                self._tracing.remove(each)

    def event(self, name: str, level: Level = "info", /, **fields: object) -> None:
        """While a request is served, its id, lane, method, route and caller are told along."""
        if (served := SERVED.get()) is not None:
            fields = {**served, **fields}
        if self._tracing and isinstance(around := current(), Span):
            fields.setdefault("trace_id", f"{around.trace_id:032x}")
        for sink in self._sinks:
            try:
                sink.event(name, level, fields)
            except Exception as error:  # noqa: BLE001 - a stranger's sink may raise anything
                self._warn_once(sink, error)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        for sink in self._sinks:
            try:
                sink.count(name, amount, labels)
            except Exception as error:  # noqa: BLE001 - as above
                self._warn_once(sink, error)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        for sink in self._sinks:
            try:
                sink.observe(name, value, labels)
            except Exception as error:  # noqa: BLE001 - as above
                self._warn_once(sink, error)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        for sink in self._sinks:
            try:
                sink.gauge(name, value, labels)
            except Exception as error:  # noqa: BLE001 - as above
                self._warn_once(sink, error)

    def request(self, headers: Sequence[tuple[bytes, bytes]]) -> AnySpan | NoSpan:
        """A block around all that is done for a request, in the trace of its caller if that began one."""
        return self._begun("", "server", caller_of(headers), {}) if self._tracing else NO_SPAN

    def span(self, name: str, kind: SpanKind = "internal", /, **attributes: SpanValue) -> AnySpan | NoSpan:
        """A block of work that is worth its own line in a trace; outside a request it is a trace of its own."""
        if not self._tracing:
            return NO_SPAN
        around = current()
        if around is None:
            return self._begun(name, kind, None, attributes)
        return around.part(name, kind, attributes) if isinstance(around, Span) else NO_SPAN

    def around(self) -> Span | None:
        """The span that is being told of, if any: for what another task does meanwhile."""
        around = current() if self._tracing else None
        return around if isinstance(around, Span) else None

    def trace_headers(self) -> Mapping[str, str]:
        """What a call that leaves the server should send along: `traceparent`, and `tracestate` if there is one."""
        around = current() if self._tracing else None
        return {} if around is None else around.headers()

    def _begun(self, name: str, kind: SpanKind, caller: Caller | None, attributes: dict[str, SpanValue]) -> AnySpan:
        takers: Sequence[Traces]
        if caller is None:
            trace_id, parent_id, state = getrandbits(128) or 1, 0, ""
            takers = [sink for sink in self._tracing if self._is_sampled_by(sink, trace_id)]
        else:
            trace_id, parent_id, is_sampled, state = caller
            takers = [*self._tracing] if is_sampled else ()
        if not takers:
            return UnsampledSpan(trace_id, state)
        epoch_ns = time.time_ns() - time.perf_counter_ns()
        return Span(Trace(trace_id, state, takers, self._tell_span, epoch_ns), name, kind, parent_id, attributes)

    def _is_sampled_by(self, sink: Traces, trace_id: int) -> bool:
        try:
            return sink.samples(trace_id)
        except Exception as error:  # noqa: BLE001 - as above
            self._warn_once(sink, error)
            return False

    def _tell_span(self, takers: Sequence[Traces], span: EndedSpan) -> None:
        for sink in takers:
            try:
                sink.span(span)
            except Exception as error:  # noqa: BLE001 - as above
                self._warn_once(sink, error)

    def _warn_once(self, sink: object, error: Exception) -> None:
        name = type(sink).__qualname__
        if name not in self._warned:
            self._warned.add(name)
            _log.warning("telemetry sink %s failed and loses data: %s", name, type(error).__name__)
