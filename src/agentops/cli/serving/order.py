"""What is to be served, as the command line said it; worker processes read it from their environment."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from agentops.core.kit import Kit

_VARIABLE: Final = "AGENTOPS_WORKER"


class Order(NamedTuple):
    """A configuration, and the settings over it."""

    config: str | None
    sets: tuple[str, ...]

    def kit(self) -> Kit:
        from agentops.core.kit import Kit

        return Kit.from_config(self.config, sets=self.sets)

    def leave_to_workers(self) -> None:
        os.environ[_VARIABLE] = json.dumps(self)

    @classmethod
    def of_this_worker(cls) -> Order:
        config, sets = json.loads(os.environ[_VARIABLE])
        return cls(config, tuple(sets))
