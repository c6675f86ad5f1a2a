"""Limiter: counts against a rate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from agentops.core.plugin import Kind, Plugin, S


class Rate(msgspec.Struct, frozen=True):
    """So many, in so many seconds: in whichever seconds one looks at, there are never more."""

    amount: int
    seconds: int


class Verdict(msgspec.Struct, frozen=True):
    """Whether it may go on; if not, in how many seconds it may. `left` is what each rate has room for now."""

    allowed: bool
    retry_after: float = 0.0
    left: Sequence[int] = ()


class Limiter(Plugin[S]):
    """Counts where every instance that shares the limit can see it."""

    kind: ClassVar[Kind] = "limiter"
    spans_processes: ClassVar[bool] = False

    @abstractmethod
    async def hit(self, key: str, rates: Sequence[Rate], cost: int = 1) -> Verdict:
        """Count `cost` against all rates of `key` at once, or against none of them.

        A cost above an amount is never allowed. `Unavailable` when it cannot be counted.
        """
