"""A stream as an HTTP answer: ends when its reader leaves, when its reader stalls, or when the server drains."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from litestar import Response

from agentops.core.errors import Refusal
from agentops.core.http.beyond_asgi import abort, direct_writer
from agentops.core.http.gate import context_of

if TYPE_CHECKING:
    from agentops.core.eventlog import Stream
    from agentops.core.http.asgi import Receive, Scope, Send

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_LAST: Final = {"type": "http.response.body", "body": b"", "more_body": False}


class EventStream(Response[bytes]):
    """Takes over from Litestar once the handler has found the stream; an `@asgi` route has no path parameters."""

    def __init__(self, stream: Stream[Any]) -> None:
        self._stream = stream

    def to_asgi_response(self, *_: Any, **__: Any) -> EventStream:  # type: ignore[override]
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream, context = self._stream, context_of(scope)
        watched = context.vouched.watch(scope["auth"], scope["user"], stream.end)
        leaving = asyncio.create_task(_end_when_gone(stream, receive))
        try:
            async with asyncio.timeout(None) as stall:
                stream.on_stall = lambda: stall.reschedule(0)
                await _start(scope, send)
                stream.write_at_once = direct_writer(context.server_send)
                await _write(stream, context.server_send)
        except TimeoutError:
            if abort(context.server_send):
                await leaving
        finally:
            context.vouched.forget(watched)
            leaving.cancel()
            stream.close()


async def _start(scope: Scope, send: Send) -> None:
    keep_alive = [(b"connection", b"keep-alive")] if scope["http_version"] == "1.1" else []
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *keep_alive]})


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
    await _finish(server_send)
    stream.blocked_since = None


async def _finish(server_send: Send) -> None:
    """End the answer, and return once nothing of it is left in this process, if there is a way to tell.

    A little that is left blocks no write, so nobody would notice that it is never read. A server that stops closes
    such a connection once it is empty, and waits for that without end.
    """
    cycle = getattr(server_send, "__self__", None)
    flow, transport = getattr(cycle, "flow", None), getattr(cycle, "transport", None)
    if flow is None or transport is None or transport.is_closing():
        await server_send(_LAST)
        return
    transport.set_write_buffer_limits(high=0)
    await server_send(_LAST)
    await flow.drain()
    if not transport.is_closing():
        transport.set_write_buffer_limits()


async def _end_when_gone(stream: Stream[Any], receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()
