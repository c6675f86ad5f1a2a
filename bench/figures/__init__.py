"""The figures, by the names that `--only` takes, in the order of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.figures import (
    arrays,
    auth,
    fanout,
    gateway,
    instances,
    latency,
    limits,
    made_up_keys,
    memory,
    pages,
    posts,
    replay,
    start,
    telemetry,
    workers,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bench.results import Result
    from bench.setup import Setup

FIGURES: Final[Mapping[str, Callable[[Setup], Awaitable[Sequence[Result]]]]] = {
    "posts": posts.measure,
    "arrays": arrays.measure,
    "latency": latency.measure,
    "fanout": fanout.measure,
    "replay": replay.measure,
    "memory": memory.measure,
    "start": start.measure,
    "pages": pages.measure,
    "auth": auth.measure,
    "made-up-keys": made_up_keys.measure,
    "telemetry": telemetry.measure,
    "limits": limits.measure,
    "gateway": gateway.measure,
    "workers": workers.measure,
    "instances": instances.measure,
}
