"""What a trace says of a request, in the words of OpenTelemetry's conventions for HTTP servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentops.core.http.asgi import Scope
    from agentops.core.ports.tracing import SpanValue
    from agentops.core.tracing import AnySpan, NoSpan

_FAULTY: Final = 500


def describe(
    span: AnySpan | NoSpan, scope: Scope, method: str | None, path: str, status: int, /, **own: SpanValue
) -> None:
    """`method` is nothing where a client made it up. What is refused was answered well; what is 500 or more was not.

    The path is told and the query is not: some clients put credentials there.
    """
    route = scope.get("path_template")
    attributes: dict[str, SpanValue] = {
        "http.request.method": method or "_OTHER",
        "url.scheme": scope.get("scheme", "http"),
        "url.path": path,
        "network.protocol.version": scope["http_version"],
        **own,
    }
    if route is not None:
        attributes["http.route"] = route
    if status:
        attributes["http.response.status_code"] = status
    if status >= _FAULTY:
        attributes["error.type"] = str(status)
    named = method or "HTTP"
    span.describe(attributes, name=named if route is None else f"{named} {route}", failed=status >= _FAULTY)


def is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the answer goes on for hours, as server-sent events do."""
    return any(name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)
