"""Failures counted by whom they are about, so that guessing is refused before anything is hashed."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from agentops.core.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED_MOST: Final = 20_000


class Throttle:
    """So many failures in a window; a process counts for itself, and forgets who was quiet the longest."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._seconds = seconds
        self._clock = clock
        self._seen: OrderedDict[bytes, list[float]] = OrderedDict()

    def take(self, who: str) -> None:
        """Count an attempt before it is made, so that many at once count too; refuse the one that is too many."""
        wait = self._counted_or_wait(who)
        if wait is not None:
            raise TooManyRequests("too many attempts; wait before the next", headers={"Retry-After": str(wait)})

    def admits(self, who: str) -> bool:
        """Count an attempt as `take` does, where the one that is too many gets another answer than a refusal."""
        return self._counted_or_wait(who) is None

    def give_back(self, who: str) -> None:
        """The attempt that was taken last is no failure: it succeeded, or nothing could be found out."""
        key = _key(who)
        taken = self._seen.pop(key, [])[:-1]
        if taken:
            self._seen[key] = taken

    def _counted_or_wait(self, who: str) -> int | None:
        """`None` when the attempt was counted, else the seconds after which one would be."""
        now, key = self._clock(), _key(who)
        recent = [at for at in self._seen.get(key, ()) if at > now - self._seconds]
        if len(recent) >= self._failures:
            return max(1, math.ceil(recent[0] + self._seconds - now))
        self._seen[key] = [*recent, now]
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED_MOST:
            self._seen.popitem(last=False)
        return None


def take_both(by_account: Throttle, account: str, by_address: Throttle, address: str) -> None:
    """Count an attempt for both or for neither: what one of them refuses costs nothing of the other."""
    by_account.take(account)
    try:
        by_address.take(address)
    except TooManyRequests:
        by_account.give_back(account)
        raise


def _key(who: str) -> bytes:
    """Strangers choose the names: a digest of each takes the same room, however long the name is."""
    return blake2b(who.encode("utf-8", "surrogatepass"), digest_size=16).digest()
