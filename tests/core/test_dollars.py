"""Money is written in dollars and counted in micro-dollars, and neither way is any of it lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops.core.dollars import in_dollars, micro_of


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_what_is_written_is_read_again(micro: int) -> None:
    assert micro_of(in_dollars(micro)) == micro


@pytest.mark.parametrize(
    ("text", "micro"),
    [("5", 5_000_000), ("0.25", 250_000), ("0.1", 100_000), ("0.000001", 1), ("-1.50", -1_500_000), ("00.10", 100_000)],
)
def test_dollars_are_read(text: str, micro: int) -> None:
    assert micro_of(text) == micro


@pytest.mark.parametrize(("micro", "text"), [(5_000_000, "5.00"), (1, "0.000001"), (-1_500_000, "-1.50"), (0, "0.00")])
def test_dollars_are_written_with_two_decimals_or_more(micro: int, text: str) -> None:
    assert in_dollars(micro) == text


@pytest.mark.parametrize(
    "text",
    ["", "five", "1e9", "0.0000001", ".5", "5.", "+5", "1,000", " 5", "5\n", "\N{ARABIC-INDIC DIGIT ONE}", "1" * 10],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no amount in dollars"):
        micro_of(text)
