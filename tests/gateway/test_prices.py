"""What a call costs: whole micro-dollars, never less than what was used, by the price of its day."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops.core.ports.model import Usage
from agentops.plugins.features.gateway.prices import Price, Prices, day_of
from agentops.plugins.features.gateway.settings import PriceSettings

PRICE = Price(0, input=3_000_000, output=15_000_000, cached=300_000, written=3_750_000)


def days(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(), 0),
        (Usage(input=1), 3),
        (Usage(output=1), 15),
        (Usage(input=100, cached=100), 30),
        (Usage(input=100, written=100), 375),
        (Usage(input=100, cached=40, written=10, output=2), 150 + 12 + 38 + 30),
    ],
    ids=["nothing", "input", "output", "cached", "written", "all"],
)
def test_each_kind_of_token_has_its_price(usage: Usage, cost: int) -> None:
    assert PRICE.cost(usage) == cost


def test_a_part_of_a_micro_dollar_is_one_once_for_the_whole_call() -> None:
    cheap = Price(0, input=1, output=1, cached=1, written=1)
    assert cheap.cost(Usage(input=1)) == 1
    assert cheap.cost(Usage(input=500_000, output=500_000)) == 1
    assert cheap.cost(Usage(input=500_000, output=500_001)) == 2


@given(
    read=st.integers(0, 10**6),
    wrote=st.integers(0, 10**6),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    prices=st.tuples(*[st.integers(0, 10**8)] * 4),
)
def test_the_worst_case_is_never_less_than_what_it_comes_to(
    read: int, wrote: int, shares: tuple[float, float], prices: tuple[int, int, int, int]
) -> None:
    price = Price(0, *prices)
    cached = int(read * shares[0])
    usage = Usage(read, wrote, cached, int((read - cached) * shares[1]))
    assert 0 <= price.cost(usage) <= price.worst(read, wrote)


def test_a_price_counts_from_its_day_until_the_next() -> None:
    prices = Prices(
        [
            PriceSettings(provider="p", model="m", since=date(2026, 2, 1), input=2, output=2),
            PriceSettings(provider="p", model="m", since=date(2026, 1, 1), input=1, output=1),
        ]
    )
    found = {day: prices.of("p", "m", days(day)) for day in ("2026-01-31", "2026-02-01", "2027-01-01")}
    assert {day: price.input for day, price in found.items() if price is not None} == {
        "2026-01-31": 1,
        "2026-02-01": 2,
        "2027-01-01": 2,
    }
    assert prices.of("p", "m", days("2025-12-31")) is None
    assert prices.of("q", "m", days("2026-02-01")) is None


def test_what_is_not_said_of_a_cache_costs_like_input() -> None:
    price = Prices([PriceSettings(provider="p", model="m", input=7, output=1)]).of("p", "m", days("2026-01-01"))
    assert price is not None
    assert (price.cached, price.written) == (7, 7)


def test_days_are_those_of_utc() -> None:
    assert day_of(1_767_225_599_999) == days("2025-12-31")
    assert day_of(1_767_225_600_000) == days("2026-01-01")
