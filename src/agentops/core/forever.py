"""What runs in the background as long as the server does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from agentops.core.signals import Signals

PAUSE_SECONDS: Final = 1.0


async def ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancel these, and return once they are gone; what they raise is of no interest any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def in_background(signals: Signals, steps: Mapping[str, Callable[[], Awaitable[None]]]) -> AsyncGenerator[None]:
    """Repeat each of these steps, by the name under which its failures are told, until this is left."""
    tasks = [asyncio.create_task(forever(signals, name, step), name=f"agentops {name}") for name, step in steps.items()]
    try:
        yield
    finally:
        await ended(*tasks)


async def forever(signals: Signals, name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Repeat the step; what it raises is told and costs a pause, never the loop."""
    while True:
        try:
            await step()
        except Unavailable as error:
            signals.event(f"{name}.postponed", "warning", reason=error.message)
            await asyncio.sleep(PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever a storage raises, tomorrow's events need this loop
            signals.event(f"{name}.failed", "error", error=error)
            await asyncio.sleep(PAUSE_SECONDS)
