"""The signals that tell a process to stop: first notice, then the end of the streams, then whatever they did before."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None


class Leaving:
    """A server that was told to stop waits for its streams, and nothing else would tell them.

    The first signal is obeyed when the time of notice is over, and any further one at once.
    """

    def __init__(self, give_notice: Callable[[], None], drain: Callable[[], None], notice_seconds: float) -> None:
        self._give_notice = give_notice
        self._drain = drain
        self._notice_seconds = notice_seconds
        self._is_noticed = notice_seconds == 0
        self._loop = asyncio.get_running_loop()
        self._before: dict[signal.Signals, Handler] = {}

    @contextmanager
    def when_signalled(self) -> Generator[None]:
        """Hear the signals while this is entered; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        self._before = {
            number: handler for number, handler in handlers.items() if handler not in {None, signal.SIG_IGN}
        }
        for number in self._before:
            signal.signal(number, self._hear)
        try:
            yield
        finally:
            for number, handler in self._before.items():
                if signal.getsignal(number) == self._hear:
                    signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._is_noticed:
            self._obey(number, frame)
        else:
            self._is_noticed = True
            self._loop.call_soon_threadsafe(self._notice, number)

    def _notice(self, number: int) -> None:
        self._give_notice()
        self._loop.call_later(self._notice_seconds, self._obey, number, None)

    def _obey(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._drain)
        handler = self._before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
