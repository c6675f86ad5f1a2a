"""Which core the server runs on and which the load, so that neither takes the other's time."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Cores:
    """Two cores, or none where processes cannot be pinned or there is only one."""

    server: int | None = None
    load: int | None = None

    @classmethod
    def found(cls) -> Cores:
        if sys.platform == "linux":
            from os import sched_getaffinity

            usable = sorted(sched_getaffinity(0))
            if len(usable) > 1:
                return cls(server=usable[0], load=usable[1])
        return cls()

    @property
    def story(self) -> str:
        if self.server is None:
            return "server and load share what there is: one core, or no way to pin a process"
        return f"server on core {self.server}, load on core {self.load}"

    def take_load(self) -> None:
        """Move this process, which makes the load, to its core."""
        _pin(self.load)

    @contextmanager
    def for_server(self) -> Iterator[None]:
        """Processes started within are on the server's core, for ever."""
        _pin(self.server)
        try:
            yield
        finally:
            _pin(self.load)


def _pin(core: int | None) -> None:
    if sys.platform == "linux" and core is not None:
        from os import sched_setaffinity

        sched_setaffinity(0, {core})
