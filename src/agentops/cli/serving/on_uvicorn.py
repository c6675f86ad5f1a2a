"""Serves on uvicorn: in this process, or in several that share the socket."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from agentops.cli.failures import NotNow
from agentops.cli.serving.announcing import announce, when_it_answers
from agentops.cli.serving.listening import BACKLOG, bind, url_of
from agentops.cli.serving.starting import Starting
from agentops.cli.serving.trailers import WithoutTrailers
from agentops.cli.serving.worker import TARGET

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from agentops.cli.serving.order import Order
    from agentops.core.kit import Kit

DRAIN_SECONDS: Final = 3
"""The kit ends its streams at once; this is for answers that are still being written."""
IDLE_SECONDS: Final = 75
"""Longer than proxies keep a connection, so that none sends a request into one that is being closed."""


def serve_here(kit: Kit) -> None:
    """Serve until told to stop."""
    failures: list[Exception] = []
    settings = kit.deployment.server
    with bind(settings.host, settings.port) as bound:
        tell = partial(announce, kit.deployment, url_of(bound))
        server = _Server(_config(Starting(kit.app(), failures.append)), tell)
        _leave_when_signalled_too_early(server)
        try:
            server.run(sockets=[bound])
        except SystemExit:
            if failures:
                raise failures[0] from None
            raise


def serve_in_workers(kit: Kit, order: Order) -> None:
    """Serve from several processes until told to stop; one that dies is replaced."""
    settings = kit.deployment.server
    order.leave_to_workers()
    with bind(settings.host, settings.port) as bound:
        url = url_of(bound)
        workers = Multiprocess(_config(TARGET, factory=True, workers=settings.workers), sockets=[bound])
        when_it_answers(url, partial(announce, kit.deployment, url))
        workers.run()
    if any(process.exitcode == NotNow.exit_code for process in workers.processes):
        raise SystemExit(NotNow.exit_code)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()


def _config(app: Any, factory: bool = False, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=factory,
        workers=workers,
        http=WithoutTrailers,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        # Whoever is in front may write what it likes into X-Forwarded-For; authenticators need the true peer.
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _leave_when_signalled_too_early(server: uvicorn.Server) -> None:
    """Uvicorn raises the signal again after it has stopped cleanly; that is no reason to die from it."""

    def leave(_number: int, _frame: object) -> None:
        if not server.started:
            raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
