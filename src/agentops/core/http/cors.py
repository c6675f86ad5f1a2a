"""What a browser is told of who may call a lane from a page of another origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentops.core.ports.credential import schemes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.core.http.asgi import Send
    from agentops.core.lanes import Lane
    from agentops.core.ports.auth import Authenticator

    Headers = list[tuple[bytes, bytes]]

METHODS: Final = b"GET, POST, PATCH, DELETE, OPTIONS"
HEADERS: Final = ("Content-Type", "X-Api-Key", "Authorization", "Last-Event-ID")
EXPOSED: Final = b"Link, Retry-After, X-Request-ID"
PREFLIGHT: Final = 204
"""The status of an answer to a preflight."""


def allowed_headers(lane: Lane, auth: Mapping[str, Authenticator]) -> bytes:
    """The usual ones, and those in which the lane's authenticators want their credential."""
    names = [*HEADERS]
    for authenticator in (auth[name] for name in lane.auth):
        for scheme in schemes_of(authenticator):
            wanted = scheme.get("name", "") if scheme.get("in") == "header" else ""
            if wanted and wanted.lower() not in {name.lower() for name in names}:
                names.append(wanted)
    return ", ".join(names).encode("latin-1")


def cors_headers(lane: Lane, origin: bytes | None) -> Headers:
    if "*" in lane.cors:
        return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", EXPOSED)]
    headers = [(b"vary", b"Origin")]
    if origin is not None and origin.decode("latin-1") in lane.cors:
        headers += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", EXPOSED)]
    return headers


async def answer_preflight(headers: Headers, allowed: bytes, send: Send) -> None:
    answer = [
        (b"access-control-allow-methods", METHODS),
        (b"access-control-max-age", b"600"),
        *headers,
        (b"access-control-allow-headers", allowed),
    ]
    await send({"type": "http.response.start", "status": PREFLIGHT, "headers": answer})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
