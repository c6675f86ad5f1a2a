"""What each worker process serves: the engines import this by name."""

from __future__ import annotations

import sys
from typing import Final

from agentops.cli.failures import NotNow, explain
from agentops.cli.serving.order import Order
from agentops.cli.serving.starting import Starting

TARGET: Final = "agentops.cli.serving.worker:make_app"


def make_app() -> Starting:
    """Read the configuration anew, for a worker that replaces another may start much later."""
    try:
        return Starting(Order.of_this_worker().kit().app(), _tell)
    except Exception as error:  # noqa: BLE001 - whatever it is, the sentence is all that helps
        _tell(error)
        sys.exit(NotNow.exit_code)


def _tell(error: Exception) -> None:
    explain(error).show()
