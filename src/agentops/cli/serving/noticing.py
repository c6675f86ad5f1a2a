"""Granian's own process, but for this: it says when its workers serve, and gives them notice before it stops them."""

from __future__ import annotations

import os
from multiprocessing import active_children
from typing import TYPE_CHECKING, Any, cast

from granian.server.mp import MPServer

from agentops.cli.serving.worker import NOTICE

if TYPE_CHECKING:
    from collections.abc import Callable


class NoticingServer(MPServer):
    """Imported once it is known that granian is installed."""

    def __init__(self, *arguments: Any, started: Callable[[], None], notice_seconds: float, **settings: Any) -> None:
        super().__init__(*arguments, **settings)  # pyright: ignore[reportUnknownMemberType]
        self._started = started
        self._notice_seconds = notice_seconds

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        start: Any = super().startup  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        start(spawn_target, target_loader)
        self._started()

    def shutdown(self, exit_code: int = 0) -> None:
        if self.interrupt_signal:
            self._give_notice()
        stop: Any = super().shutdown  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        stop(exit_code)

    def _give_notice(self) -> None:
        """A worker that is told to stop does so at once. A second signal, or one that dies, ends the wait."""
        if self._notice_seconds and NOTICE is not None:
            self.main_loop_interrupt.clear()
            for worker in active_children():
                os.kill(cast("int", worker.pid), NOTICE)
            self.main_loop_interrupt.wait(self._notice_seconds)
