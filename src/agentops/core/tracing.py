"""Spans while they last, and which of them is around the code that runs."""

from __future__ import annotations

import time
from contextvars import ContextVar
from random import getrandbits
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from agentops.core.errors import Refusal
from agentops.core.ports.tracing import EndedSpan
from agentops.core.trace_context import headers_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import Token
    from types import TracebackType

    from agentops.core.ports.tracing import SpanKind, SpanValue, Traces

_SERVER_ERROR: Final = 500


class Trace(NamedTuple):
    """What the spans of one trace share."""

    trace_id: int
    state: str
    takers: Sequence[Traces]
    """The sinks that sample it."""
    tell: Callable[[Sequence[Traces], EndedSpan], None]
    epoch_ns: int
    """Added to `perf_counter_ns` it is the time; looked at once, for the wall clock may jump meanwhile."""


def new_span_id() -> int:
    return getrandbits(64) or 1


class UnsampledSpan:
    """Around a request that nobody takes, as most are: it says, to what is called from it, which trace it is in."""

    __slots__ = ("_state", "_token", "_trace_id")

    is_taken: Final = False

    def __init__(self, trace_id: int, state: str) -> None:
        self._trace_id = trace_id
        self._state = state

    def describe(self, attributes: Mapping[str, SpanValue], *, name: str = "", failed: bool = False) -> None: ...

    def end(self) -> None: ...

    def headers(self) -> dict[str, str]:
        return headers_for(self._trace_id, new_span_id(), self._state, is_sampled=False)

    def __enter__(self) -> Self:
        self._token: Token[AnySpan | None] = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)


class Span:
    """A block of work, for the sinks that sample its trace."""

    __slots__ = (
        "_attributes",
        "_began",
        "_failed",
        "_kind",
        "_name",
        "_parent_id",
        "_token",
        "_trace",
        "is_taken",
        "span_id",
    )

    def __init__(
        self, trace: Trace, name: str, kind: SpanKind, parent_id: int, attributes: dict[str, SpanValue]
    ) -> None:
        self._name = name
        self.span_id = new_span_id()
        self.is_taken = True
        """Whether it is worth describing; no longer once it has ended."""
        self._trace = trace
        self._kind: SpanKind = kind
        self._parent_id = parent_id
        self._attributes = attributes
        self._failed = False
        self._began = time.perf_counter_ns()

    @property
    def trace_id(self) -> int:
        return self._trace.trace_id

    def part(self, name: str, kind: SpanKind, attributes: dict[str, SpanValue]) -> Span:
        return Span(self._trace, name, kind, self.span_id, attributes)

    def had(
        self, name: str, times: tuple[int, int], attributes: Mapping[str, SpanValue], *, failed: bool = False
    ) -> None:
        """Tell of a part that another task has done meanwhile, from when to when by `time.perf_counter_ns`."""
        part = self.part(name, "internal", {})
        part.describe(attributes, failed=failed)
        part.tell(times)

    def describe(self, attributes: Mapping[str, SpanValue], *, name: str = "", failed: bool = False) -> None:
        self._attributes.update(attributes)
        self._name = name or self._name
        self._failed = self._failed or failed

    def end(self) -> None:
        """Before its block does: for what goes on for hours."""
        if self.is_taken:
            self.is_taken = False
            self.tell((self._began, time.perf_counter_ns()))

    def tell(self, times: tuple[int, int]) -> None:
        trace = self._trace
        ended = EndedSpan(
            trace_id=trace.trace_id,
            span_id=self.span_id,
            parent_id=self._parent_id,
            is_called=self._kind == "server" and self._parent_id != 0,
            state=trace.state,
            name=self._name,
            kind=self._kind,
            began_ns=trace.epoch_ns + times[0],
            ended_ns=trace.epoch_ns + times[1],
            attributes=self._attributes,
            failed=self._failed,
        )
        trace.tell(trace.takers, ended)

    def headers(self) -> dict[str, str]:
        return headers_for(self.trace_id, self.span_id, self._trace.state, is_sampled=True)

    def __enter__(self) -> Self:
        self._token: Token[AnySpan | None] = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)
        if self.is_taken:
            if error is not None:
                self._explain(error)
            self.end()

    def _explain(self, error: BaseException) -> None:
        """By its kind alone: its words may quote what somebody sent. Whoever is refused or goes away has not failed."""
        if isinstance(error, Refusal):
            self.describe({"error.type": error.code}, failed=error.status >= _SERVER_ERROR)
        else:
            self.describe({"error.type": type(error).__qualname__}, failed=isinstance(error, Exception))


class NoSpan:
    """Stands wherever nothing is traced; there is only one."""

    is_taken: Final = False

    def describe(self, attributes: Mapping[str, SpanValue], *, name: str = "", failed: bool = False) -> None: ...

    def end(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


NO_SPAN: Final = NoSpan()

AnySpan = Span | UnsampledSpan

_current: Final = ContextVar["AnySpan | None"]("agentops_span", default=None)

current: Final = _current.get
"""The innermost span around the code that asks."""
