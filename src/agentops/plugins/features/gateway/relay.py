"""A streamed answer on its way: each piece is written when it comes, and the end when the call is settled."""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from litestar import Response

from agentops.core.error_styles import render
from agentops.core.http.gate import context_of
from agentops.core.http.sse import STREAM_HEADERS, tell_left
from agentops.core.ports.model import ModelLost
from agentops.plugins.features.gateway.faults import refusal_for, style_of
from agentops.plugins.features.gateway.presence import Ended

if TYPE_CHECKING:
    from agentops.core.http.asgi import Receive, Scope, Send
    from agentops.core.ports.model import Api, Piece
    from agentops.plugins.features.gateway.call import Call
    from agentops.plugins.features.gateway.calls import Calls, Pieces
    from agentops.plugins.features.gateway.presence import Presence

_OPERATION: Final = "draft"
"""A stream of a model is one, in the names of events that assistants know."""
_DONE: Final = b"data: [DONE]\n\n"
_ERROR_EVENTS: Final[frozenset[Api]] = frozenset({"messages", "responses"})
"""APIs whose events have names."""


class RelayedStream(Response[bytes]):
    """Takes over once the provider has begun to answer."""

    def __init__(self, calls: Calls, call: Call, pieces: Pieces, presence: Presence) -> None:
        self._calls = calls
        self._call = call
        self._pieces = pieces
        self._presence = presence

    def to_asgi_response(self, *_: Any, **__: Any) -> RelayedStream:  # type: ignore[override]
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context, call = context_of(scope), self._call
        watched = context.vouched.watch(scope["auth"], scope["user"], lambda: self._presence.end("revoked"))
        ending: Exception | None = None
        try:
            async with aclosing(self._pieces.rest), aclosing(self._calls.rest(call, self._pieces)) as pieces:
                await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
                with self._presence:
                    async for piece in pieces:
                        await send({"type": "http.response.body", "body": _frame(piece), "more_body": True})
        except Exception as error:  # noqa: BLE001 - the status has been sent: what went wrong is said in the stream
            ending = error
        except BaseException as error:
            await self._calls.ended(call, error)
            raise
        finally:
            context.vouched.forget(watched)
            self._presence.close()
        await self._calls.ended(call, ending)
        if isinstance(ending, Ended) and ending.reason == "left":
            tell_left(context, _OPERATION)
            return
        last = _DONE if call.question.api == "chat" else b""
        if ending is not None:
            last = _said(call, ending, context.request_id)
        with suppress(OSError):
            await send({"type": "http.response.body", "body": last, "more_body": False})


def _frame(piece: Piece) -> bytes:
    """What would be read as more than one event is refused, for a plugin may have handed on what came."""
    if b"\n" in piece.data or b"\r" in piece.data or not (piece.event.isascii() and piece.event.isprintable()):
        raise ModelLost("the provider's stream has an event that is not one")
    if piece.event:
        return b"event: %b\ndata: %b\n\n" % (piece.event.encode(), piece.data)
    return b"data: %b\n\n" % piece.data


def _said(call: Call, error: Exception, request_id: str) -> bytes:
    """An error in the words of the API, as clients of it expect one in a stream that has begun."""
    api = call.question.api
    said = render(style_of(api), refusal_for(error, call), request_id)
    return b"event: error\ndata: %b\n\n" % said if api in _ERROR_EVENTS else b"data: %b\n\n" % said
