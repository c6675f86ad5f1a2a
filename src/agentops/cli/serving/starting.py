"""Around the start of the application: hears what goes wrong, and leaves the process ready to serve."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp


class Starting:
    """Wraps the application, and hands what keeps it from starting to `failed`; the engines would only print it."""

    def __init__(self, app: ASGIApp, failed: Callable[[Exception], None]) -> None:
        self._app = app
        self._failed = failed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_notice(message: Any) -> None:
            nonlocal started
            if message["type"] == "lifespan.startup.complete":
                started = True
                _spare_what_stays()
                logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
            await send(message)

        try:
            await self._app(scope, receive, send_and_notice)
        except Exception as error:
            if not started:
                self._failed(error)
            raise


def _spare_what_stays() -> None:
    """Take what the start has made out of garbage collection: to look through all of it stops the server for 50 ms."""
    gc.collect()
    gc.freeze()
