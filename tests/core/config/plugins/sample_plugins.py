"""Small plugins as a stranger would write them, some of them wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from agentops.core.identity import Identity
from agentops.core.plugin import NoSettings, Plugin, Settings
from agentops.core.ports.auth import Authenticator, Caller
from agentops.core.ports.bus import Bus, Listener, Ring
from agentops.core.ports.feature import Feature
from agentops.core.ports.limiter import Limiter, Rate, Verdict
from agentops.core.problem import ConfigurationError, Problem
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class GateSettings(Settings):
    """A badge at a gate."""

    badge: Secret
    header: str = "x-badge"
    """The header that carries it."""


class Gate(Authenticator[GateSettings]):
    async def authenticate(self, caller: Caller) -> Identity | None:
        presented = caller.header(self.settings.header)
        return Identity(presented) if presented is not None and self.settings.badge.matches(presented) else None

    def check(self) -> Iterable[Problem]:
        if self.settings.header == "cookie":
            yield Problem("header", "a cookie is not a badge", "browsers send it unasked", "name another header")
        if self.settings.header == "echo":
            yield Problem("badge", f"{self.settings.badge.reveal()} is too short", "it can be guessed", "lengthen it")


class Unfinished(Authenticator[NoSettings]):
    pass


class Plain:
    pass


class Rootless(Plugin[NoSettings]):
    pass


class Vault(Feature[NoSettings]):
    may_be_open: ClassVar[bool] = False

    def routes(self) -> Sequence[object]:
        return []


class Shop(Feature[NoSettings]):
    def routes(self) -> Sequence[object]:
        return []


class Falling(Shop):
    def check(self) -> Iterable[Problem]:
        raise RuntimeError("hunter2-in-clear")


class Refusing(Shop):
    def __init__(self, settings: NoSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        raise ValueError("a shop is closed on Sundays")


class Reporting(Shop):
    def __init__(self, settings: NoSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        raise ConfigurationError([Problem("door", "it is closed", "nobody gets in", "open it")])


class Crashing(Shop):
    def __init__(self, settings: NoSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        raise RuntimeError("hunter2-in-clear")


class Horn(Bus[NoSettings]):
    spans_processes: ClassVar[bool] = True

    def ring(self, ring: Ring) -> None:
        pass

    def listen(self, listener: Listener) -> Callable[[], None]:
        return lambda: None


class Abacus(Limiter[NoSettings]):
    async def hit(self, key: str, rates: Sequence[Rate], cost: int = 1) -> Verdict:
        return Verdict(allowed=True)
