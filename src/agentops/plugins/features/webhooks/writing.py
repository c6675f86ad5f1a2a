"""What a delivery says: an event of Standard Webhooks, or a line for a chat."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from agentops.plugins.features.webhooks.kinds import HEADLINES

if TYPE_CHECKING:
    from collections.abc import Mapping

Format = Literal["standard", "slack"]

VALUE_MOST: Final = 300
"""Of a value in a chat; a title may be as long as a book."""


class Message(msgspec.Struct):
    """The body in the format `standard`."""

    type: str
    timestamp: str
    data: msgspec.Raw


def body_of(format_: Format, kind: str, at: int, data: bytes) -> bytes:
    """The same at every attempt: a receiver may compare."""
    if format_ == "slack":
        return msgspec.json.encode({"text": _line(kind, msgspec.json.decode(data))})
    timestamp = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode(Message(kind, timestamp, msgspec.Raw(data)))


def _line(kind: str, data: Mapping[str, Any]) -> str:
    facts = (f"{name}: {_escaped(value)}" for name, value in data.items() if value not in (None, "", []))
    return "\n".join([f"*{HEADLINES[kind]}*", *facts])


def _escaped(value: object) -> str:
    """Slack reads `<…>` as a link or a call to everybody, and a line break would begin a fact of its own."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    shown = text if len(text) <= VALUE_MOST else f"{text[:VALUE_MOST]}…"
    return " ".join(shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
