"""Real server processes: started by a fork of one that has imported everything already, ended as a test wants."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from tests.durability.apps import serve
from tests.durability.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection as PipeEnd

    from litestar import Litestar

    from tests.durability.apps import Plan
    from tests.durability.wire import Address

_PRELOADED = [
    "agentops.core.http.app",
    "agentops.plugins.bus.memory",
    "agentops.plugins.storage.postgres",
    "agentops.plugins.storage.sqlite",
    "anyio._backends._asyncio",
    "asyncpg",
    "litestar._kwargs",
    "litestar.middleware.allowed_hosts",
    "litestar.middleware.csrf",
    "litestar.middleware.response_cache",
    "litestar.plugins.attrs",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "tests.durability.apps",
    "tomllib",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
]

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(_PRELOADED)


class Server:
    """An address that keeps listening while the process behind it comes and goes; one at a time."""

    def __init__(self, plan: Plan, prepare: Callable[[], None] | None = None, send_buffer: int | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        if send_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.address: Address = self._listener.getsockname()[:2]
        self._orders, theirs = _forking.Pipe()
        self._nursery = _forking.Process(target=_raise, args=(plan, self._listener, theirs, prepare), daemon=True)
        self._nursery.start()
        theirs.close()
        self.pid = 0

    def start(self) -> None:
        """Return at once: who connects before the process answers waits for it."""
        self._orders.send("start")
        self.pid = self._orders.recv()

    async def up(self) -> None:
        """Start, and return once the process answers."""
        self.start()
        await self.answers()

    async def answers(self) -> None:
        async with await Connection.open(self.address) as connection:
            assert (await connection.get("/api/census")).status == 200

    def kill(self) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._orders.recv()
            self.pid = 0

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    async def ended(self, within: float) -> int | None:
        """The exit code, or nothing when the process is still there after so many seconds."""
        if not await asyncio.to_thread(self._orders.poll, within):
            return None
        self.pid = 0
        exit_code: int = self._orders.recv()
        return exit_code

    def close(self) -> None:
        self.kill()
        self._orders.close()
        self._nursery.join()
        self._nursery.close()
        self._listener.close()


@contextmanager
def server(plan: Plan, prepare: Callable[[], None] | None = None, send_buffer: int | None = None) -> Iterator[Server]:
    """A server that is not started yet, and is gone when the block ends.

    `send_buffer` is how much the kernel holds for a connection; it would take some megabytes otherwise.
    """
    made = Server(plan, prepare, send_buffer)
    try:
        yield made
    finally:
        made.close()


def _raise(plan: Plan, listener: socket.socket, orders: PipeEnd, prepare: Callable[[], None] | None) -> None:
    """Make the application once and fork a server from it for each order; tell its pid, then its exit code."""
    app = plan.app()
    gc.freeze()
    with suppress(EOFError):
        while orders.recv():
            child = os.fork()
            if child == 0:
                orders.close()
                _become_server(app, listener, prepare)
            orders.send(child)
            orders.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _become_server(app: Litestar, listener: socket.socket, prepare: Callable[[], None] | None) -> NoReturn:
    try:
        if prepare is not None:
            prepare()
        serve(app, listener)
    except BaseException:  # noqa: BLE001 - a fork that returned from here would be a second nursery
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
