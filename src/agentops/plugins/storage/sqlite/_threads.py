"""The threads that hold connections to the file: one that writes, a few that read.

A queue of our own instead of an executor: handing work over and back costs half of what it costs there,
and with small commits that is a third of everything.
"""

from __future__ import annotations

import asyncio
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from agentops.plugins.storage.sqlite._connections import translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

READERS: Final = 4

_Job = tuple["asyncio.AbstractEventLoop", "asyncio.Future[Any]", "Callable[[sqlite3.Connection], Any]"]


class Threads:
    """Run functions on connections, one to a thread; a connection on which one failed is not used again."""

    def __init__(self, count: int, name: str, open_one: Callable[[], sqlite3.Connection]) -> None:
        self._open_one = open_one
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    async def run(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run the function to its end, also when the caller is cancelled meanwhile."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put((loop, done, lambda connection: function(connection, *args, **kwargs)))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    def close(self) -> None:
        """Finish what was asked for, then close the connections."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        while (job := self._jobs.get()) is not None:
            loop, done, function = job
            try:
                with translated():
                    connection = connection or self._open_one()
                    result = function(connection)
            except BaseException as error:  # noqa: BLE001  whatever it is, it belongs to who asked, not to this thread
                if connection is not None:
                    connection.close()
                    connection = None
                loop.call_soon_threadsafe(done.set_exception, error)
            else:
                loop.call_soon_threadsafe(done.set_result, result)
            del job, function, done
        if connection is not None:
            connection.close()
