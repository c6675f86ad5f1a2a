"""How long a new process takes: a server on a fresh database until its first answer, and the help."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from bench.results import Result, at_most
from bench.server import AGENTOPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.setup import Setup


async def measure(setup: Setup) -> Sequence[Result]:
    starts: list[float] = []
    for _ in setup.rounds:
        async with setup.server() as server:
            starts.append(server.start_seconds)
    helps = [_help_seconds(setup) for _ in range(setup.scale.help_calls)]
    return [
        Result("cold start to the first answer", "s", at_most(2.5), starts, setup.engines[0]),
        Result("agentops --help", "s", at_most(0.4), helps),
    ]


def _help_seconds(setup: Setup) -> float:
    began = time.perf_counter()
    with setup.cores.for_server():
        subprocess.run([AGENTOPS, "--help"], check=True, stdout=subprocess.DEVNULL, timeout=30)
    return time.perf_counter() - began
