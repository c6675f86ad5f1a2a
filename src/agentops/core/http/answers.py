"""Answers that are bytes already: nothing is encoded twice, and nothing is looked up on the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.core.http.asgi import Receive, Scope, Send

_encode: Final = msgspec.json.Encoder().encode


class Answer(Response[bytes]):
    """A finished body; Litestar's own response would look for cookies, background tasks and encoders."""

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: bytes = b"application/json",
    ) -> None:
        self.body = body
        self.status_code = status
        self._head = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
        if headers:
            self._head += [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]

    def to_asgi_response(self, *_: Any, **__: Any) -> Answer:  # type: ignore[override]
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self._head})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(_encode(value), status, headers)
