"""How much is measured: enough to be believed, or just enough to know that everything still works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    rounds: int
    seconds: float
    """How long a round of steady load lasts."""
    warmup_seconds: float
    streams: int
    """How many streams are open at once where many are."""
    quiet_posts: int
    replayed_events: int
    paged_events: int
    pages: int
    help_calls: int
    auth_calls: int
    idle_seconds: float


FULL: Final = Scale(
    rounds=3,
    seconds=4,
    warmup_seconds=1,
    streams=2000,
    quiet_posts=300,
    replayed_events=100_000,
    paged_events=1_000_000,
    pages=300,
    help_calls=5,
    auth_calls=5000,
    idle_seconds=8,
)
QUICK: Final = Scale(
    rounds=1,
    seconds=0.2,
    warmup_seconds=0.1,
    streams=40,
    quiet_posts=10,
    replayed_events=2000,
    paged_events=5000,
    pages=10,
    help_calls=1,
    auth_calls=50,
    idle_seconds=0.2,
)
