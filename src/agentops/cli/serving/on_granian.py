"""Serves on granian, whose workers are processes also when there is only one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from agentops.cli.failures import NotNow
from agentops.cli.serving.announcing import announce, when_it_answers
from agentops.cli.serving.listening import BACKLOG, bind, url_of
from agentops.cli.serving.worker import TARGET
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
    except ImportError as error:
        raise StartError(
            'granian is not installed: pip install "agentops-kit[granian]", or set server.engine = "uvicorn"'
        ) from error
    from agentops.cli.serving.noticing import NoticingServer

    settings = kit.deployment.server
    with bind(settings.host, settings.port) as probe:
        url = url_of(probe)
        host, port = probe.getsockname()[:2]

    order.leave_to_workers()
    server = NoticingServer(
        TARGET,
        started=partial(when_it_answers, url, partial(announce, kit.deployment, url)),
        notice_seconds=settings.notice_seconds,
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
