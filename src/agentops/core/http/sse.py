"""A stream as an HTTP answer: ends when its reader leaves, when its reader stalls, or when the server drains."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from litestar import Response

from agentops.core.errors import Refusal
from agentops.core.http.beyond_asgi import abort, direct_writer, finish
from agentops.core.http.gate import context_of

if TYPE_CHECKING:
    from agentops.core.eventlog import Stream
    from agentops.core.http.asgi import Receive, Scope, Send
    from agentops.core.http.gate import Context

STREAM_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response[bytes]):
    """Takes over from Litestar once the handler has found the stream; an `@asgi` route has no path parameters."""

    def __init__(self, stream: Stream[Any], operation: str) -> None:
        """The operation is what a client asked for: it is told when the client leaves before the end."""
        self._stream = stream
        self._operation = operation

    def to_asgi_response(self, *_: Any, **__: Any) -> EventStream:  # type: ignore[override]
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream, context = self._stream, context_of(scope)
        watched = context.vouched.watch(scope["auth"], scope["user"], stream.end)
        leaving = asyncio.create_task(self._end_when_gone(context, receive))
        try:
            async with asyncio.timeout(None) as stall:
                stream.on_stall = lambda: stall.reschedule(0)
                await _start(scope, send)
                stream.write_at_once = direct_writer(context.server_send)
                await _write(stream, context.server_send)
        except TimeoutError:
            stream.end()
            if abort(context.server_send):
                await leaving
        finally:
            context.vouched.forget(watched)
            leaving.cancel()
            stream.close()

    async def _end_when_gone(self, context: Context, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._stream.ended:
            tell_left(context, self._operation)
        self._stream.end()


def tell_left(context: Context, operation: str) -> None:
    """A client went before the end of what it asked for."""
    lane = f"{context.lane.name}." if context.lane is not None and context.lane.name else ""
    context.signals.event(f"{lane}{operation}.sse_client_closed")


async def _start(scope: Scope, send: Send) -> None:
    keep_alive = [(b"connection", b"keep-alive")] if scope["http_version"] == "1.1" else []
    await send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, *keep_alive]})


async def _write(stream: Stream[Any], server_send: Send) -> None:
    """Past the gate, which has nothing to add to a body: one call less for each of thousands of streams."""
    clock = asyncio.get_running_loop().time
    with suppress(Refusal):
        while not stream.ended:
            chunk = stream.at_hand() or await stream.fetched()
            if chunk:
                stream.blocked_since = clock()
                await server_send({"type": "http.response.body", "body": chunk, "more_body": True})
                stream.blocked_since = None
    stream.blocked_since = clock()
    await finish(server_send)
    stream.blocked_since = None
