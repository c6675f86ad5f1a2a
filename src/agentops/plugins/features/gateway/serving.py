"""The handlers of calls: read within bounds, held for, answered whole or as a stream."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response

from agentops.core.errors import Unavailable
from agentops.core.http.answers import Answer
from agentops.core.http.bodies import media_type_of, read_body, require_json
from agentops.core.http.gate import context_of
from agentops.plugins.features.gateway.asked import Question
from agentops.plugins.features.gateway.faults import refusal_for
from agentops.plugins.features.gateway.messages import with_metadata
from agentops.plugins.features.gateway.presence import Ended, Presence
from agentops.plugins.features.gateway.relay import RelayedStream
from agentops.plugins.features.gateway.room import declared_length

if TYPE_CHECKING:
    from agentops.core.ports.model import Api
    from agentops.plugins.features.gateway.call import Call
    from agentops.plugins.features.gateway.calls import Calls
    from agentops.plugins.features.gateway.desk import Desk
    from agentops.plugins.features.gateway.room import Room
    from agentops.plugins.features.gateway.settling import Settling

LAST_SECONDS: Final = 2.0
"""How long calls under way go on when the server begins to stop: all are settled before it ends."""
_GONE: Final = Answer(b"", 499)
"""Nobody is there to see it but the log."""


class Serving:
    """Serves calls of every API."""

    def __init__(self, desk: Desk, calls: Calls, settling: Settling, room: Room, call_seconds: float) -> None:
        self._desk = desk
        self._calls = calls
        self._settling = settling
        self._room = room
        self._seconds = call_seconds
        self._under_way: set[Presence] = set()
        self._is_over = False

    async def serve(self, api: Api, request: Request[Any, Any, Any]) -> Response[bytes]:
        if self._is_over:
            raise Unavailable("the server is shutting down", code="draining")
        most = context_of(request.scope).max_body
        with ExitStack() as room:
            room.enter_context(self._room.taken(declared_length(request.scope["headers"], most)))
            require_json(media_type_of(request))
            question = Question(api, await read_body(request, most))
            presence = Presence(request.receive, self._seconds, self._under_way.discard)
            self._under_way.add(presence)
            try:
                answer = await self._served(request, question, presence)
            except BaseException:
                presence.close()
                raise
            if isinstance(answer, RelayedStream) and question.fields:
                presence.when_closed(room.pop_all().close)
            return answer

    def drain(self) -> None:
        """Let calls go on for a little; what is not over then is ended, and settled."""
        asyncio.get_running_loop().call_later(LAST_SECONDS, self._end)

    def _end(self) -> None:
        self._is_over = True
        for presence in list(self._under_way):
            presence.end("stopping")

    async def _served(self, request: Request[Any, Any, Any], question: Question, presence: Presence) -> Response[bytes]:
        call: Call | None = None
        try:
            with presence:
                call = await self._desk.call_of(request, question)
                presence.when_long(partial(self._settling.tell_asked, call))
                if question.streamed:
                    pieces = await self._calls.begin(call)
                    if call.content == "off":
                        question.let_go()
                    return RelayedStream(self._calls, call, pieces, presence)
                whole = await self._calls.answer(call)
        except BaseException as error:
            if call is not None:
                await self._calls.ended(call, error)
            if not isinstance(error, Exception):
                raise
            if isinstance(error, Ended) and error.reason == "left":
                presence.close()
                return _GONE
            raise refusal_for(error, call) from error
        await self._calls.ended(call)
        presence.close()
        return Answer(with_metadata(whole.body, call))
