"""What each worker process serves: the engines import this by name."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Final

from agentops.cli.failures import NotNow, explain
from agentops.cli.serving.order import Order
from agentops.cli.serving.starting import Starting

if TYPE_CHECKING:
    from agentops.core.kit import Kit

TARGET: Final = "agentops.cli.serving.worker:make_app"
NOTICE: Final[signal.Signals | None] = getattr(signal, "SIGUSR1", None)
"""Tells a worker that it will be told to stop; Windows has no such signal."""


def make_app() -> Starting:
    """Read the configuration anew, for a worker that replaces another may start much later."""
    try:
        kit = Order.of_this_worker().kit()
        _hear_of_the_end(kit)
        return Starting(kit.app(), _tell)
    except Exception as error:  # noqa: BLE001 - whatever it is, the sentence is all that helps
        _tell(error)
        sys.exit(NotNow.exit_code)


def _hear_of_the_end(kit: Kit) -> None:
    if NOTICE is not None:
        signal.signal(NOTICE, lambda _number, _frame: kit.give_notice())


def _tell(error: Exception) -> None:
    explain(error).show()
