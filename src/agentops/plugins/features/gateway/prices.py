"""What calls cost: whole micro-dollars, by the price of the day on which they began."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

from agentops.core.records import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentops.core.ports.model import Usage
    from agentops.plugins.features.gateway.settings import PriceSettings

_MILLION: Final = 1_000_000
_FIRST: Final = date(1970, 1, 1)


class Price(NamedTuple):
    """Micro-dollars for a million tokens, from a day on; days are UTC's, for everybody, and counted from 1970."""

    since: int
    input: int
    output: int
    cached: int
    written: int

    def cost(self, usage: Usage) -> int:
        """Rounded up once, for the whole call."""
        fresh = max(0, usage.input - usage.cached - usage.written)
        parts = (
            fresh * self.input + usage.cached * self.cached + usage.written * self.written + usage.output * self.output
        )
        return -(-parts // _MILLION)

    def worst(self, read: int, written: int) -> int:
        """What a call costs at most that reads and writes no more than this."""
        dearest = max(self.input, self.cached, self.written)
        return -(-(read * dearest + written * self.output) // _MILLION)


class Prices:
    """The price list: of one model of one provider, from one day on to the next that is named."""

    def __init__(self, settings: Iterable[PriceSettings]) -> None:
        self._by_model: dict[tuple[str, str], list[Price]] = {}
        for each in settings:
            cached = each.input if each.cached is None else each.cached
            written = each.input if each.written is None else each.written
            self._by_model.setdefault((each.provider, each.model), []).append(
                Price((each.since - _FIRST).days, each.input, each.output, cached, written)
            )
        for prices in self._by_model.values():
            prices.sort(reverse=True)

    def of(self, provider: str, model: str, day: int) -> Price | None:
        return next((price for price in self._by_model.get((provider, model), ()) if price.since <= day), None)

    def all_of(self, provider: str, model: str) -> Sequence[Price]:
        return self._by_model.get((provider, model), ())


def day_of(at_ms: int) -> int:
    return at_ms // DAY_MS
