"""What happens, as lines on standard error: for people at a terminal, as JSON everywhere else."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

import msgspec

from agentops.core.plugin import Settings
from agentops.core.ports.telemetry import Telemetry

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
        pretty = self.settings.format == "pretty" or (self.settings.format == "auto" and sys.stderr.isatty())
        self._lines = _Lines(sys.stderr)
        self._levels = _LEVELS[_LEVELS.index(self.settings.level) :]
        self._told = traceback.format_exception if self.settings.level == "debug" else _places
        self._written = _for_people() if pretty else _as_json

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._lines.write_out()

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


class _Lines:
    """Writes what is told in one turn of the loop in one go, which is a third of the cost of a line; else at once."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: list[str] = []
        self._is_due = False

    def write(self, line: str) -> None:
        self._waiting.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write_out()
            return
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self.write_out)

    def write_out(self) -> None:
        lines, self._waiting, self._is_due = self._waiting, [], False
        if lines:
            self._file.write("\n".join([*lines, ""]))
            self._file.flush()


def _as_json(line: dict[str, object]) -> str:
    """An access log is a line for each request: the first way is ten times as fast, and fails at lone surrogates."""
    try:
        return _JSON.encode(line).decode()
    except (UnicodeEncodeError, TypeError, ValueError):
        return json.dumps(_with_text_for_time(line), default=repr)


def _for_people() -> Callable[[dict[str, object]], str]:
    import structlog

    render = structlog.dev.ConsoleRenderer()
    return lambda line: str(render(None, "", _with_text_for_time(line)))


def _with_text_for_time(line: dict[str, object]) -> dict[str, Any]:
    return {**line, "timestamp": msgspec.to_builtins(line["timestamp"])}


def _places(error: BaseException) -> list[str]:
    return [*traceback.format_tb(error.__traceback__), type(error).__qualname__]
