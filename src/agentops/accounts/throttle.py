"""Failures counted by whom they are about, so that guessing is refused before anything is hashed."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
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
        self._seen: OrderedDict[str, list[float]] = OrderedDict()

    def take(self, who: str) -> None:
        """Count an attempt before it is made, so that many at once count too; refuse the one that is too many."""
        now = self._clock()
        recent = [at for at in self._seen.get(who, ()) if at > now - self._seconds]
        if len(recent) >= self._failures:
            wait = max(1, math.ceil(recent[0] + self._seconds - now))
            raise TooManyRequests("too many attempts; wait before the next", headers={"Retry-After": str(wait)})
        self._seen[who] = [*recent, now]
        self._seen.move_to_end(who)
        if len(self._seen) > REMEMBERED_MOST:
            self._seen.popitem(last=False)

    def give_back(self, who: str) -> None:
        """The attempt that was taken last succeeded, and is no failure."""
        taken = self._seen.pop(who, [])[:-1]
        if taken:
            self._seen[who] = taken
