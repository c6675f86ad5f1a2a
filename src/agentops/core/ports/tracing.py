"""Tracing: for a telemetry sink that takes spans, the parts of a request with their beginning and their end.

Without a sink that wants them nothing is traced: no span is made, and calls out carry no `traceparent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, runtime_checkable

SpanKind = Literal["internal", "server", "client"]
SpanValue = str | int | float | bool


class EndedSpan(NamedTuple):
    """What was done, from when to when, and as part of what."""

    trace_id: int
    span_id: int
    parent_id: int
    """0 at the root of a trace."""
    is_called: bool
    """Whether the parent is a span of whoever called this server."""
    state: str
    """What other systems say of this trace in `tracestate`, as it came."""
    name: str
    kind: SpanKind
    began_ns: int
    ended_ns: int
    """Since the epoch. Within a trace the clock does not jump."""
    attributes: Mapping[str, SpanValue]
    """Names with a dot are those of OpenTelemetry; values may be anything that somebody sent, never a secret."""
    failed: bool


@runtime_checkable
class Traces(Protocol):
    """An ability of a telemetry sink; like the others it must not block, and what it raises costs only its own data."""

    @property
    def wants_spans(self) -> bool:
        """Whether it takes any at all; asked when it has started."""
        ...

    def samples(self, trace_id: int) -> bool:
        """Whether it takes the spans of a trace that begins here; who began one elsewhere has decided for all."""
        ...

    def span(self, span: EndedSpan) -> None:
        """One has ended, and those within it mostly before."""
        ...
