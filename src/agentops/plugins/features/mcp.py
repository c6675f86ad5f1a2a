"""The place of a memory service's MCP endpoint: it speaks JSON-RPC, and has no method yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from litestar import Request, Response, post

from agentops.core.errors import BadRequest, TooLarge, Unavailable, UnsupportedMediaType
from agentops.core.http.answers import Answer, json_answer
from agentops.core.http.bodies import decode_json, read_json
from agentops.core.http.describing import answered, documented
from agentops.core.plugin import NoSettings
from agentops.core.ports.feature import Feature

if TYPE_CHECKING:
    from collections.abc import Sequence

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601

Id = str | int | float | None


class Call(msgspec.Struct, frozen=True):
    """A JSON-RPC request; without an id it is a notification, which nobody answers."""

    jsonrpc: str
    method: str
    id: Id | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct):
    """Why a call was not answered."""

    code: int
    message: str


class Failed(msgspec.Struct):
    """The answer to a call that failed."""

    error: Failure
    id: Id = None
    jsonrpc: str = "2.0"


_decoder: Final = msgspec.json.Decoder(Call)
_EXAMPLE: Final = Failed(Failure(METHOD_NOT_FOUND, "there is no method 'tools/list' here"), 1)
_CALL: Final = documented(
    "Call a method by JSON-RPC",
    requestBody={"content": {"application/json": {"example": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}}},
    responses={
        "200": answered("The answer, or in it why there is none", Failed, msgspec.to_builtins(_EXAMPLE)),
        "202": {"description": "A notification was taken"},
    },
    refusals=(
        TooLarge("a body may have 8388608 bytes at most"),
        UnsupportedMediaType("send application/json, not text/plain"),
        Unavailable("credentials cannot be checked right now", code="auth_unavailable"),
    ),
)


class Mcp(Feature[NoSettings]):
    """`serve = ["mcp"]`, at the lane's own path: behind the lane's real auth, every method is unknown."""

    permissions: ClassVar = {"mcp:call": "call the tools of the MCP endpoint"}

    def routes(self) -> Sequence[object]:
        return [post("/", opt={"permission": "mcp:call"}, **_CALL)(self.call)]

    async def call(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            call = decode_json(_decoder, await read_json(request))
        except BadRequest as error:
            code = INVALID_REQUEST if error.code == "invalid_body" else PARSE_ERROR
            return json_answer(Failed(Failure(code, error.message)))
        if call.id is msgspec.UNSET:
            return Answer(b"", 202)
        return json_answer(Failed(Failure(METHOD_NOT_FOUND, f"there is no method {call.method!r} here"), call.id))
