"""Which core the servers run on and which the load, so that neither takes the other's time."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Cores:
    """Two cores, or none where processes cannot be pinned or there is only one."""

    servers: Sequence[int] = ()
    load: int | None = None

    @classmethod
    def found(cls) -> Cores:
        if sys.platform == "linux":
            from os import sched_getaffinity

            usable = sorted(sched_getaffinity(0))
            if len(usable) > 1:
                return cls(servers=usable[:1], load=usable[1])
        return cls()

    @property
    def shared(self) -> Cores:
        """For several servers at once: they may run on both, also where the load is made."""
        return self if self.load is None else replace(self, servers=[*self.servers, self.load])

    @property
    def story(self) -> str:
        if self.load is None:
            return "server and load share what there is: one core, or no way to pin a process"
        return f"one server on core {self.servers[0]}, several on both, load on core {self.load}"

    def take_load(self) -> None:
        """Move this process, which makes the load, to its core."""
        _pin([] if self.load is None else [self.load])

    @contextmanager
    def for_server(self) -> Iterator[None]:
        """Processes started within are on the servers' cores, for ever."""
        _pin(self.servers)
        try:
            yield
        finally:
            self.take_load()


def _pin(cores: Sequence[int]) -> None:
    if sys.platform == "linux" and cores:
        from os import sched_setaffinity

        sched_setaffinity(0, cores)
