"""What every figure is given: how much to measure, on which engines, and servers to measure it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.server import agentops, bare_asgi

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bench.cores import Cores
    from bench.postgres import Postgres
    from bench.scale import Scale
    from bench.server import Engine, Server


@dataclass(frozen=True, slots=True)
class Setup:
    scale: Scale
    cores: Cores
    folder: Path
    engines: Sequence[Engine]
    """The first is what most figures are measured on; those of posts, fan-out and made-up keys, on each."""
    postgres: Postgres | None
    """One for all who need it, for it takes a while to make; none where the package is not installed it comes in."""

    @property
    def rounds(self) -> range:
        return range(self.scale.rounds)

    def server(self, *settings: str, engine: Engine | None = None) -> AbstractAsyncContextManager[Server]:
        return agentops(self.cores, self.folder, engine or self.engines[0], *settings)

    def workers(self, count: int, *settings: str) -> AbstractAsyncContextManager[Server]:
        """A server beside others, or of several processes, on whatever cores there are."""
        return agentops(self.cores.shared, self.folder, self.engines[0], *settings, workers=count)

    def bare_server(self, engine: Engine) -> AbstractAsyncContextManager[Server]:
        return bare_asgi(self.cores, self.folder, engine)
