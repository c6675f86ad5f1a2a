"""Opens the storage of a deployment alone, for commands that work on it beside a running server."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from agentops.core.discovery import where_raised
from agentops.core.errors import AgentopsError, StartError
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from agentops.core.ports.storage import Storage

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, or to the first Ctrl-C: asyncio alone would let a read that blocks go on."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    return asyncio.run(main)


@asynccontextmanager
async def opened(storage: Storage) -> AsyncGenerator[Storage]:
    """Start it, and stop it at the end; what a stranger's storage raises at its start becomes a sentence."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(storage.life(Rungs(signals=Signals())))
        except AgentopsError:
            raise
        except Exception as error:
            raise StartError(f"the storage could not start: {where_raised(error)}") from error
        yield storage


def as_it_is(storage: Storage) -> Storage:
    """The same storage, but one that neither makes a database nor changes the schema of one."""
    if not getattr(storage.settings, "migrate", False):
        return storage
    return type(storage)(msgspec.structs.replace(storage.settings, migrate=False))
