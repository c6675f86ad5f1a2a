"""Spans that wait, no more than fit, and their form for the collector."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from agentops.core.ports.tracing import EndedSpan, SpanValue

ATTRIBUTES_MOST: Final = 64
TEXT_MOST: Final = 1_024
NAMESPACE: Final = "agentops."

_KINDS: Final = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}
_INTEGERS: Final = range(-(2**63), 2**63)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class WaitingSpans:
    """Short from the moment they come in: what waits may wait for long."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._spans: deque[EndedSpan] = deque()
        self.lost = 0
        """Since somebody last asked by `take_lost`."""

    def __len__(self) -> int:
        return len(self._spans)

    def add(self, span: EndedSpan) -> bool:
        """Whether there was room."""
        if len(self._spans) >= self._most:
            self.lost += 1
            return False
        self._spans.append(span._replace(name=_text(span.name), attributes=_attributes(span.attributes)))
        return True

    def take(self, most: int) -> list[EndedSpan]:
        return [self._spans.popleft() for _ in range(min(most, len(self._spans)))]

    def put_back(self, spans: Sequence[EndedSpan]) -> None:
        """The oldest to the front, as far as there is still room."""
        room = max(0, self._most - len(self._spans))
        self._spans.extendleft(reversed(spans[:room]))
        self.lost += len(spans[room:])

    def take_lost(self) -> int:
        lost, self.lost = self.lost, 0
        return lost


def encoded_spans(spans: Sequence[EndedSpan], resource: Resource, scope: InstrumentationScope) -> bytes:
    """It takes some 30 µs a span: not for the event loop.

    What came as `tracestate` is set behind the back of OpenTelemetry, which would quote a part that it does not like in
    warnings of its own: any caller could write into the log.
    """
    request = encode_spans([_readable(span, resource, scope) for span in spans])
    told = request.resource_spans[0].scope_spans[0].spans
    for span, each in zip(spans, told, strict=True):
        each.trace_state = span.state
    written: bytes = request.SerializeToString()
    return written


def _readable(span: EndedSpan, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    return ReadableSpan(
        span.name,
        SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED),
        SpanContext(span.trace_id, span.parent_id, is_remote=span.is_called) if span.parent_id else None,
        resource,
        span.attributes,
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=span.began_ns,
        end_time=span.ended_ns,
        instrumentation_scope=scope,
    )


def _attributes(attributes: Mapping[str, SpanValue]) -> dict[str, SpanValue]:
    """Our own names stand in a namespace of ours, beside those of OpenTelemetry."""
    return {
        _text(name if "." in name else f"{NAMESPACE}{name}"): _value(value)
        for name, value in islice(attributes.items(), ATTRIBUTES_MOST)
    }


def _value(value: SpanValue) -> SpanValue:
    """Anything that protobuf takes; of what is none of these types only its own idea of what may be shown."""
    if isinstance(value, (bool, float)) or (isinstance(value, int) and value in _INTEGERS):
        return value
    return _text(str(value))


def _text(text: str) -> str:
    return text[:TEXT_MOST].encode("utf-8", "replace").decode()
