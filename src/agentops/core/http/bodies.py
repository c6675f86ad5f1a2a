"""What comes in: read within a bound, checked to be text, and decoded strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from agentops.core.errors import BadRequest, TooLarge, UnsupportedMediaType
from agentops.core.http.gate import context_of

if TYPE_CHECKING:
    from litestar import Request

    from agentops.core.http.asgi import Receive

T = TypeVar("T")

DROPPED: Final = 4
"""How many times the size that a body may have is read of one that is larger."""


async def read_body(request: Request[Any, Any, Any], most: int) -> bytes:
    """Litestar's `request.body()` parses all headers first and costs three times as much.

    Of a body that is too large some more is read and dropped: whoever is cut off while it still sends does not see
    the answer.
    """
    receive: Receive = request.receive
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body") and size <= most * DROPPED:
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            if size <= most:
                parts.append(part)
        body = b"".join(parts)
    else:
        size = len(body)
    if message["type"] == "http.disconnect":
        raise BadRequest("the connection ended before the body did", code="incomplete_body")
    if size > most:
        raise TooLarge(f"a body may have {most} bytes at most", headers={"Connection": "close"})
    return body


async def read_json(request: Request[Any, Any, Any]) -> bytes:
    """The body of a request whose body can only be JSON."""
    require_json(media_type_of(request))
    return await read_body(request, context_of(request.scope).max_body)


def media_type_of(request: Request[Any, Any, Any]) -> str:
    """The declared type without its parameters; empty when none is declared."""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            return value.partition(b";")[0].strip().lower().decode("latin-1")
    return ""


def require_json(media_type: str) -> None:
    """A body without a declared type is taken for JSON; a form or a file is refused before it is misread."""
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"send application/json, not {media_type}")


def decode_json(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode, or say in one sentence what is wrong and where."""
    try:
        body.decode()  # what is passed over unread, an unknown field or a payload, is checked by nobody else
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error), code="invalid_body") from None
    except msgspec.DecodeError as error:
        raise BadRequest(str(error), code="invalid_json") from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8", code="invalid_json") from None
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply", code="invalid_json") from None
