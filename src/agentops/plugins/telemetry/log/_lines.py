"""Writes lines without ever waiting for whoever reads them."""

from __future__ import annotations

import asyncio
import os
import select
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Final

from agentops.core.signals import Signals

if TYPE_CHECKING:
    from typing import TextIO

BYTES_MOST: Final = 1024 * 1024
"""What may wait for a reader; while it takes nothing, what comes beyond is lost."""
PIECE: Final = 4_096
"""What a pipe takes without a wait once it says that it is ready."""
AGAIN_SECONDS: Final = 0.05
STOP_SECONDS: Final = 0.5


class Lines:
    """Writes what is told in one turn of the loop in one go, which is a third of the cost of a line; else at once.

    Never waits for whoever reads it, or every request would: what is not taken is written later, or lost.
    """

    def __init__(self, file: TextIO | None) -> None:
        """Of a process that was begun without standard error there is none, and its lines go nowhere."""
        self.signals = Signals()
        self._file = file
        self._readiness = _readiness_of(file)
        self._descriptor = file.fileno() if file is not None and self._readiness is not None else -1
        self._waiting: list[str] = []
        self._size = 0
        """Letters of those that wait."""
        self._unwritten = bytearray()
        self._is_due = False
        self._lost = 0

    def write(self, line: str) -> None:
        if len(self._unwritten) + self._size > BYTES_MOST:
            self._lose(1, "whoever reads it takes nothing")
            return
        self._waiting.append(line)
        self._size += len(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write_out()
            return
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self.write_out)

    def write_out(self) -> None:
        lines, self._waiting, self._size, self._is_due = self._waiting, [], 0, False
        had_something = bool(lines or self._unwritten)
        try:
            self._write("".join(f"{line}\n" for line in lines))
        except OSError as error:
            lost = max(len(lines), self._unwritten.count(b"\n"))
            self._unwritten.clear()
            self._lose(lost, type(error).__name__)
            return
        if self._unwritten:
            self._write_later()
        elif self._lost and had_something:
            lost, self._lost = self._lost, 0
            self._tell("log.works_again", lines_lost=lost)

    async def written(self) -> None:
        """A reader that is only slow is given a moment."""
        self.write_out()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while self._unwritten:
                    await asyncio.sleep(AGAIN_SECONDS)
                    self.write_out()

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        if self._readiness is None:
            self._file.write(text)
            self._file.flush()
            return
        self._unwritten += text.encode("utf-8", "backslashreplace")
        while self._unwritten and self._readiness.poll(0):
            del self._unwritten[: os.write(self._descriptor, self._unwritten[:PIECE])]

    def _write_later(self) -> None:
        with suppress(RuntimeError):
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self.write_out, context=Context())
            self._is_due = True

    def _lose(self, lines: int, reason: str) -> None:
        is_first, self._lost = not self._lost, self._lost + lines
        if is_first:
            self._tell("log.failing", reason=reason, meaning="lines are lost")

    def _tell(self, name: str, **fields: object) -> None:
        """Within no request: the one that happens to be told of has nothing to do with it."""
        Context().run(self.signals.event, name, "warning", **fields)


def _readiness_of(file: TextIO | None) -> select.poll | None:
    """What says whether it takes a piece; nothing where that cannot be asked, as of a file that is only in memory."""
    if file is None or not hasattr(select, "poll"):
        return None
    readiness = select.poll()
    try:
        readiness.register(file.fileno(), select.POLLOUT)
    except (OSError, ValueError):
        return None
    return readiness
