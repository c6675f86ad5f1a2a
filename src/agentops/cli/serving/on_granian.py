"""Serves on granian, whose workers are processes also when there is only one."""

from __future__ import annotations

import os
from functools import partial
from multiprocessing import active_children
from typing import TYPE_CHECKING, Any, Final, cast

from agentops.cli.failures import NotNow
from agentops.cli.serving.announcing import announce, when_it_answers
from agentops.cli.serving.listening import BACKLOG, bind, url_of
from agentops.cli.serving.worker import NOTICE, TARGET
from agentops.core.errors import StartError

if TYPE_CHECKING:
    from agentops.cli.serving.order import Order
    from agentops.core.kit import Kit

DRAIN_SECONDS: Final = 3
"""Then a worker is killed that a reader holds up: unlike uvicorn, granian has no way to drop a connection."""
OPEN_AT_ONCE: Final = 1_000_000
"""Requests in progress for each worker. Granian's own bound is the backlog, and every open stream would count."""


def serve_in_workers(kit: Kit, order: Order) -> None:
    """Serve until told to stop."""
    try:
        from granian.constants import Interfaces
        from granian.server.mp import MPServer
    except ImportError as error:
        raise StartError(
            'granian is not installed: pip install "agentops-kit[granian]", or set server.engine = "uvicorn"'
        ) from error
    settings = kit.deployment.server
    with bind(settings.host, settings.port) as probe:
        url = url_of(probe)
        host, port = probe.getsockname()[:2]

    class Announcing(MPServer):
        def startup(self, spawn_target: Any, target_loader: Any) -> None:
            start: Any = super().startup  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            start(spawn_target, target_loader)
            when_it_answers(url, partial(announce, kit.deployment, url))

        def shutdown(self, exit_code: int = 0) -> None:
            if self.interrupt_signal:
                self._give_notice(settings.notice_seconds)
            stop: Any = super().shutdown  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            stop(exit_code)

        def _give_notice(self, seconds: float) -> None:
            """A worker that is told to stop does so at once. A second signal, or one that dies, ends the wait."""
            if seconds and NOTICE is not None:
                self.main_loop_interrupt.clear()
                for worker in active_children():
                    os.kill(cast("int", worker.pid), NOTICE)
                self.main_loop_interrupt.wait(seconds)

    order.leave_to_workers()
    server = Announcing(
        TARGET,
        factory=True,
        interface=Interfaces.ASGI,
        address=host,
        port=port,
        workers=settings.workers,
        websockets=False,
        backlog=BACKLOG,
        backpressure=OPEN_AT_ONCE,
        workers_kill_timeout=DRAIN_SECONDS,
        log_enabled=False,
    )
    try:
        server.serve()  # pyright: ignore[reportUnknownMemberType]
    except SystemExit as error:
        raise SystemExit(NotNow.exit_code) from error
