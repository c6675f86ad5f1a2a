"""Argon2id, never on the event loop: a few threads, and a queue that says no before it grows without end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

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
_pool: Final = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
_busy = 0


async def hashed(secret: str) -> str:
    return await _run(_hasher.hash, secret)


async def matches(stored: str, secret: str) -> bool:
    """Whether the secret is what was hashed; a row that holds no hash matches nothing."""
    return await _run(_verify, stored, secret)


async def matches_nobody(secret: str) -> None:
    """Take as long as a real comparison, so that time does not tell who exists."""
    await _run(_verify, await asyncio.to_thread(_dummy), secret)


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


async def _run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A caller that is cancelled leaves its hash running, so the queue is counted by what runs, not by who waits."""
    global _busy  # noqa: PLW0603 - one machine, one pool, one count
    if _busy >= WAITING_MOST:
        raise Unavailable("too many credentials are being checked at once", code="overloaded")
    _busy += 1
    future = asyncio.get_running_loop().run_in_executor(_pool, lambda: function(*args, **kwargs))
    future.add_done_callback(_one_less)
    return await asyncio.shield(future)


def _one_less(_: object) -> None:
    global _busy  # noqa: PLW0603
    _busy -= 1


def _verify(stored: str, secret: str) -> bool:
    try:
        return _hasher.verify(stored, secret)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _dummy() -> str:
    return _hasher.hash("nobody")
