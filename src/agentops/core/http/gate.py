"""The gate stands before routing, where Litestar has no middleware: it finds the lane, answers preflights,
puts the lane's headers on every answer, 404 and 405 included, and tells of every request.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from agentops.core.http.cors import PREFLIGHT, allowed_headers, answer_preflight, cors_headers
from agentops.core.http.spans import describe, is_stream
from agentops.core.serving import SERVED
from agentops.core.signals import REQUEST, REQUEST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.deployment import Deployment
    from agentops.core.http.asgi import App, Message, Receive, Scope, Send
    from agentops.core.http.express import Express
    from agentops.core.lanes import Lane
    from agentops.core.signals import Signals
    from agentops.core.tracing import AnySpan, NoSpan
    from agentops.core.vouched import Vouched

_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})

ENCODED_SLASH: Final = "\udc2f"
"""Stands for a slash inside one part of a path: a lone surrogate, which no decoded path can hold otherwise."""

CONTEXT: Final = "agentops"
UNROUTED: Final = "unrouted"
"""The route of what is at no route."""

_PROCESS: Final = os.urandom(10).hex().encode()
_numbers: Final = itertools.count(1)
"""A process's random part and a count: unique like a UUID, at a twentieth of its cost."""

_SANE_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class Context(NamedTuple):
    """What the gate knows of a request, for those behind it."""

    request_id: str
    lane: Lane | None
    server_send: Send
    max_body: int
    vouched: Vouched
    signals: Signals


def context_of(scope: Scope) -> Context:
    context: Context = scope["state"][CONTEXT]
    return context


class Gate:
    """Wraps the handler of the application that routes the lanes; what is no lane's passes through."""

    def __init__(
        self, inner: App, express: Express, deployment: Deployment, vouched: Vouched, signals: Signals
    ) -> None:
        self._lanes = deployment.lanes
        self._inner = inner
        self._express = express
        self._vouched = vouched
        self._signals = signals
        self._max_body = deployment.server.max_body_bytes
        self._allowed = {lane.path: allowed_headers(lane, deployment.auth) for lane in deployment.lanes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        began = time.perf_counter()
        lane = lane_at(self._lanes, scope)
        request_id, origin = _request_id_and_origin(scope["headers"])
        extra = [(b"x-request-id", request_id)]
        served = {
            "request_id": request_id.decode(),
            "lane": lane.name if lane is not None else "",
            "method": _method(scope),
            "route": UNROUTED,
            "subject": "",
        }
        token = SERVED.set(served)
        if lane is not None and lane.cors:
            extra += cors_headers(lane, origin)
            if scope["method"] == "OPTIONS":
                await answer_preflight(extra, self._allowed[lane.path], send)
                self._tell(scope, served, PREFLIGHT, time.perf_counter() - began)
                SERVED.reset(token)
                return
        if b"%" in scope["raw_path"]:
            scope = _with_encoded_slashes(scope)

        context = Context(served["request_id"], lane, send, self._max_body, self._vouched, self._signals)
        scope["state"][CONTEXT] = context
        with self._signals.request(scope["headers"]) as span:
            status = 0

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    nonlocal status
                    status = message["status"]
                    message["headers"] = [*message["headers"], *extra]
                    if span.is_taken and is_stream(message["headers"]):
                        _describe(span, scope, context, status)
                        span.end()  # its hours would say nothing, and be lost with the process
                await send(message)

            try:
                if lane is None or not await self._express.answers(scope, receive, send_with_headers):
                    await self._inner(scope, receive, send_with_headers)
            finally:
                _forget_server(scope)
                if span.is_taken:
                    _describe(span, scope, context, status)
                self._tell(scope, served, status, time.perf_counter() - began)
                SERVED.reset(token)

    def _tell(self, scope: Scope, served: dict[str, str], status: int, seconds: float) -> None:
        """By its route, never by its path: names of runs would be as many figures."""
        served["route"] = scope.get("path_template", UNROUTED)
        self._signals.event(REQUEST, status=status, ms=round(seconds * 1000, 2))
        self._signals.observe(
            REQUEST_SECONDS,
            seconds,
            lane=served["lane"],
            method=served["method"],
            route=served["route"],
            status=str(status),
        )


def _describe(span: AnySpan | NoSpan, scope: Scope, context: Context, status: int) -> None:
    lane = context.lane.name if context.lane is not None else ""
    method = scope["method"] if scope["method"] in _KNOWN_METHODS else None
    path = scope["path"].replace(ENCODED_SLASH, "%2F")
    describe(span, scope, method, path, status, request_id=context.request_id, lane=lane)


def _method(scope: Scope) -> str:
    """A client may make up methods without end; they are one."""
    method: str = scope["method"]
    return method if method in _KNOWN_METHODS else "other"


def _forget_server(scope: Scope) -> None:
    """A server's `send` leads back to the scope: a circle, which the garbage collector would stop everybody to find."""
    scope["state"].pop(CONTEXT, None)


def path_of(scope: Scope) -> str:
    """Below the application; repeated slashes count as one, as they do for the routes behind."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return re.sub("/{2,}", "/", path) if "//" in path else path


def lane_at(lanes: Sequence[Lane], scope: Scope) -> Lane | None:
    path = path_of(scope)
    for lane in lanes:
        if path.startswith(lane.path) and path[len(lane.path) : len(lane.path) + 1] in {"", "/"}:
            return lane
    return None


def _request_id_and_origin(headers: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, bytes | None]:
    request_id = origin = None
    for name, value in headers:
        if name == b"x-request-id":
            request_id = value
        elif name == b"origin":
            origin = value
    if request_id is None or _SANE_REQUEST_ID.fullmatch(request_id) is None:
        request_id = b"%b%012x" % (_PROCESS, next(_numbers))
    return request_id, origin


def _with_encoded_slashes(scope: Scope) -> Scope:
    """A run may be called `a/b`; its `%2F` must reach the route as part of one name, not as two parts.

    The server's own scope stays as it is: its access log could not write the stand-in.
    """
    parts = re.split("%2F", scope["raw_path"].partition(b"?")[0].decode("ascii"), flags=re.IGNORECASE)
    return scope if len(parts) == 1 else {**scope, "path": ENCODED_SLASH.join(map(unquote, parts))}
