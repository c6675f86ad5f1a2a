"""A sink that keeps spans, and a reader of what it kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.core.parts import Kept

if TYPE_CHECKING:
    from agentops.core.ports.tracing import EndedSpan

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


class Spans(Kept):
    """Keeps spans as well: all of them, or those of no trace that begins here."""

    def __init__(self, *, samples: bool = True, wants: bool = True) -> None:
        super().__init__()
        self.wants_spans = wants
        self.spans: list[EndedSpan] = []
        self._samples = samples

    def samples(self, trace_id: int) -> bool:
        return self._samples

    def span(self, span: EndedSpan) -> None:
        self.spans.append(span)

    def called(self, name: str) -> EndedSpan:
        """The one span of this name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span
