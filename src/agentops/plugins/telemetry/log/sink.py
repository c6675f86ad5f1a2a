"""The sink: what a line says, and in which form."""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from agentops.core.plugin import Settings
from agentops.core.ports.telemetry import Telemetry
from agentops.plugins.telemetry.log._lines import Lines

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from agentops.core.ports.telemetry import Level
    from agentops.core.rungs import Rungs

_OWN: Final = frozenset({"event", "level", "timestamp", "exception", "exc_info", "stack", "stack_info"})
"""What a line says itself, or what structlog would take for its own and print with the variables of each frame."""

_LEVELS: Final = ("debug", "info", "warning", "error")
_JSON: Final = msgspec.json.Encoder(enc_hook=repr)


class LogSettings(Settings):
    """`use = "log"`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """At `debug` an exception is written with its words, which may quote what somebody sent; else with its places."""
    format: Literal["auto", "pretty", "json"] = "auto"
    """`auto` is pretty at a terminal and JSON elsewhere."""


class Log(Telemetry[LogSettings]):
    """Events only; figures are for the sinks that can add them up."""

    def __init__(self, settings: LogSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        is_watched = sys.stderr is not None and sys.stderr.isatty()
        pretty = self.settings.format == "pretty" or (self.settings.format == "auto" and is_watched)
        self._lines = Lines(sys.stderr)
        self._levels = _LEVELS[_LEVELS.index(self.settings.level) :]
        self._told = traceback.format_exception if self.settings.level == "debug" else _places
        self._written = _for_people() if pretty else _as_json

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._lines.signals = rungs.signals
        try:
            yield
        finally:
            await self._lines.written()

    def event(self, name: str, level: Level, fields: dict[str, object]) -> None:
        if level in self._levels:
            line: dict[str, object] = {"event": name, "level": level, "timestamp": datetime.now(UTC)}
            if "error" not in fields and _OWN.isdisjoint(fields):
                line.update(fields)
            else:
                self._put_behind(line, fields)
            self._lines.write(self._written(line))

    def _put_behind(self, line: dict[str, object], fields: dict[str, object]) -> None:
        """Nothing that the line says itself is replaced, and an `error` becomes its traceback."""
        for name, value in fields.items():
            if name == "error" and isinstance(value, BaseException):
                line["exception"] = "".join(self._told(value))
            else:
                line[f"{name}_" if name in _OWN else name] = value


def _as_json(line: dict[str, object]) -> str:
    """An access log is a line for each request: the first way is ten times as fast, and fails at lone surrogates."""
    try:
        return _JSON.encode(line).decode()
    except (UnicodeEncodeError, TypeError, ValueError):
        return json.dumps(_with_text_for_time(line), default=repr)


def _for_people() -> Callable[[dict[str, object]], str]:
    import structlog

    render = structlog.dev.ConsoleRenderer()
    return lambda line: str(render(None, "", _without_control(_with_text_for_time(line))))


def _without_control(line: dict[str, Any]) -> dict[str, Any]:
    """What somebody sent begins no line and gives a terminal no orders; only a traceback has lines of its own."""
    return {
        name: repr(value)[1:-1] if isinstance(value, str) and name != "exception" and not value.isprintable() else value
        for name, value in line.items()
    }


def _with_text_for_time(line: dict[str, object]) -> dict[str, Any]:
    return {**line, "timestamp": msgspec.to_builtins(line["timestamp"])}


def _places(error: BaseException) -> list[str]:
    return [*traceback.format_tb(error.__traceback__), type(error).__qualname__]
