"""Asks an application itself, without a server around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentops.core.http.asgi import Message, Scope

if TYPE_CHECKING:
    from agentops import Kit


async def sent_by(kit: Kit, scope: Scope, *received: Message) -> list[Message]:
    """What the application answers; a sender that has no more to send has left."""
    waiting = list(received)
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app: Any = kit.app()
    async with app.lifespan():
        await app(scope, receive, send)
    return sent


def scope_of(method: str, path: str) -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": None,
        "http_version": "2",
        "state": {},
        "extensions": {},
    }
