"""Argon2id, never on the event loop: a few threads, and a queue that says no before it grows without end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError

from agentops.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
"""What OWASP asks for at least: about 30 ms. A key has 160 random bits and would need none of it."""

THREADS: Final = 2
WAITING_MOST: Final = 64

_hasher: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, type=Type.ID)
_NOBODYS: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${'A' * 22}${'A' * 43}"
"""A hash with today's parameters that no password has; written down, so that not even the first use costs more."""

_pool: Final = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
_places: Final = BoundedSemaphore(WAITING_MOST)


async def hashed(secret: str) -> str:
    return await _run(_hasher.hash, secret)


async def matches(stored: str, secret: str) -> bool:
    """Whether the secret is what was hashed; a row that holds no hash matches nothing."""
    return await _run(_verify, stored, secret)


async def matches_nobody(secret: str) -> None:
    """Take as long as a real comparison, so that time does not tell who exists."""
    await _run(_verify, _NOBODYS, secret)


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


async def _run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A place is given back when its hash ends, whatever became of the caller and its event loop.

    A caller that goes away while it waits takes its hash out of the queue.
    """
    if not _places.acquire(blocking=False):
        raise Unavailable("too many credentials are being checked at once", code="overloaded")
    future = _pool.submit(function, *args, **kwargs)
    future.add_done_callback(lambda _: _places.release())
    return await asyncio.wrap_future(future)


def _verify(stored: str, secret: str) -> bool:
    """What is no hash, or no text that could be hashed, is a `ValueError`."""
    try:
        return _hasher.verify(stored, secret)
    except (VerificationError, ValueError):
        return False
