"""Events as lines for people; nothing in them can steer the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click
import msgspec

from agentops.cli.failures import Failure
from agentops.core.records import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLOURS: Final[Mapping[str, str]] = {
    "debug": "bright_black",
    "info": "green",
    "warn": "yellow",
    "warning": "yellow",
    "error": "red",
    "critical": "red",
    "fatal": "red",
}
_event: Final = msgspec.json.Decoder(Event)


def event_line(text: bytes) -> str:
    """Time, id, level, type, who, and the payload if there is any."""
    try:
        event = _event.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(f"the server sent what is no event: {printable(str(error))}") from None
    colour = _COLOURS.get(event.level.lower())
    who = "/".join(part for part in (event.agent_id, event.task_id) if part)
    payload = bytes(event.payload).decode("utf-8", "replace")
    parts = (
        click.style(_moment(event.ts), dim=True),
        f"{event.id:>6}",
        click.style(f"{printable(event.level):<5}", fg=colour),
        click.style(printable(event.type), bold=True),
        click.style(printable(who), fg="cyan") if who else "",
        printable(payload) if payload != "{}" else "",
    )
    return " ".join(part for part in parts if part)


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _moment(milliseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3]
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
