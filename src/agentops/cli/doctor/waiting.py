"""Waits for what may never end, and leaves it behind when it does not."""

from __future__ import annotations

import asyncio
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

LEAVING_SECONDS: Final = 0.5

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end; unlike asyncio's own, wait for nothing that was left behind and would not end."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=LEAVING_SECONDS))
        if all(task.done() for task in left):
            loop.close()


async def within(seconds: float, asking: Awaitable[T]) -> T:
    """Wait so long and no longer, also for what does not end when it is cancelled: that is left behind."""
    task = asyncio.ensure_future(asking)
    await asyncio.wait({task}, timeout=seconds)
    if task.done():
        return task.result()
    task.cancel()
    raise TimeoutError


async def aside(function: Callable[[], T]) -> T:
    """Run what blocks in a thread that does not hold up the end of the process, however long it blocks."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        if not done.done():
            settle()

    def work() -> None:
        try:
            settle = partial(done.set_result, function())
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to who asked
            settle = partial(done.set_exception, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, settle)

    Thread(target=work, daemon=True).start()
    return await done
