"""What happens, as lines on standard error: for people at a terminal, as JSON everywhere else."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import traceback
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

import msgspec
import structlog

from agentops.core.plugin import Settings
from agentops.core.ports.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from agentops.core.ports.telemetry import Level
    from agentops.core.rungs import Rungs

_OWN: Final = frozenset({"event", "level", "timestamp", "exception", "exc_info", "stack", "stack_info"})
"""What a line says itself, or what structlog would take for its own and print with the variables of each frame."""

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


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
        self._logger: Any = structlog.wrap_logger(
            structlog.WriteLogger(cast("TextIO", self._lines)),
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[self.settings.level]),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                partial(_with_fields, traceback.format_exception if self.settings.level == "debug" else _places),
                structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(serializer=_written),
            ],
        )

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._lines.write_out()

    def event(self, name: str, level: Level, fields: dict[str, object]) -> None:
        self._logger.log(_LEVELS[level], name, fields=fields)


class _Lines:
    """Writes what is told in one turn of the loop in one go, which is a third of the cost of a line; else at once."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: list[str] = []
        self._is_due = False

    def write(self, line: str) -> None:
        self._waiting.append(line)

    def flush(self) -> None:
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
            self._file.write("".join(lines))
            self._file.flush()


def _written(line: dict[str, Any], **_options: object) -> str:
    """An access log is a line for each request: this is ten times as fast, and can write all but lone surrogates."""
    try:
        return msgspec.json.encode(line, enc_hook=repr).decode()
    except (UnicodeEncodeError, TypeError, ValueError):
        return json.dumps(line, default=repr)


def _with_fields(written: Callable[[BaseException], list[str]], _logger: object, _method: str, line: Any) -> Any:
    """Put the fields behind what the line says itself, and an `error` where its traceback is written."""
    for name, value in line.pop("fields").items():
        if name == "error" and isinstance(value, BaseException):
            line["exception"] = "".join(written(value))
        else:
            line[f"{name}_" if name in _OWN else name] = value
    return line


def _places(error: BaseException) -> list[str]:
    return [*traceback.format_tb(error.__traceback__), type(error).__qualname__]
