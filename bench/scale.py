"""How much is measured: enough to be believed, or just enough to know that everything still works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.cluster import BusName


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
    model_calls: int
    """One after the other, and as many chunks of a streamed one."""
    workers: int
    instances: int
    buses: Sequence[BusName]
    """Between which of several processes."""
    idle_seconds: float
    sweep_tries: int
    """Of so many the median is a point of a sweep."""
    events_in_a_run: Sequence[int]
    runs: Sequence[int]
    open_streams: Sequence[int]
    events_in_an_array: Sequence[int]


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
    model_calls=1000,
    workers=4,
    instances=3,
    buses=("redis", "postgres"),
    idle_seconds=8,
    sweep_tries=50,
    events_in_a_run=(1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    runs=(1_000, 10_000, 100_000, 1_000_000),
    open_streams=(1, 10, 100, 1_000, 2_000, 5_000),
    events_in_an_array=(1, 3, 10, 30, 100, 300, 1_000),
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
    model_calls=20,
    workers=2,
    instances=2,
    buses=("redis",),
    idle_seconds=0.2,
    sweep_tries=5,
    events_in_a_run=(1_000, 5_000),
    runs=(1_000, 2_000),
    open_streams=(1, 10, 40),
    events_in_an_array=(1, 10, 100),
)
