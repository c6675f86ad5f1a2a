"""What grows, by the names that `--only` takes, in the order of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.sweeps import batches, events, runs, streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bench.setup import Setup
    from bench.sweep import Sweep

SWEEPS: Final[Mapping[str, Callable[[Setup], Awaitable[Sequence[Sweep]]]]] = {
    "many-events": events.measure,
    "many-runs": runs.measure,
    "many-streams": streams.measure,
    "many-at-once": batches.measure,
}
