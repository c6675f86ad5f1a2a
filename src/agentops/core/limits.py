"""How often a lane may be asked: by an address before anybody is known, and by a caller afterwards."""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta

from agentops.core.addresses import neighbourhood
from agentops.core.errors import TooManyRequests, Unavailable
from agentops.core.identity import ANONYMOUS
from agentops.core.plugin import Settings
from agentops.core.ports.limiter import Rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.identity import Identity
    from agentops.core.ports.limiter import Limiter, Verdict
    from agentops.core.signals import Signals

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
TOLD_EVERY_SECONDS: Final = 10.0

RATE: Final = r"^[1-9][0-9]{0,8}/([1-9][0-9]{0,4})?[smhd](?!\n)$"
RateText = Annotated[
    str,
    Meta(
        pattern=RATE,
        description="so many in so much time, such as 100/m or 5/30s",
    ),
]
"""Such as `100/m` or `5/30s`: so many in so much time."""
Factor = Annotated[float, Meta(gt=0)]


class LimitSettings(Settings):
    """`[lanes.<name>.limits]`: rates, all of which hold at once."""

    address: list[RateText] = []
    """For each address, before anybody is asked who it is."""
    caller: list[RateText] = []
    """For each caller; who needs no credential is known by the address."""
    burst: Annotated[int, Meta(ge=0)] = 0
    """How many more a caller may send within the shortest of these times."""
    roles: dict[str, Factor] = {}
    """By how much the rates of callers of a role are multiplied."""
    routes: dict[str, list[RateText]] = {}
    """For each caller of one route, beside the others: `"POST /auth/login" = ["5/m"]`."""
    when_down: Literal["open", "closed"] = "open"
    """What happens to requests while nothing can be counted."""


def rate_of(text: str) -> Rate:
    """Read what `RateText` lets through."""
    amount, _, span = text.partition("/")
    return Rate(int(amount), int(span[:-1] or 1) * UNITS[span[-1]])


class Limits:
    """Those of one lane. What is refused says by which rate, and when there is room again."""

    def __init__(self, path: str, lane: str, settings: LimitSettings, limiter: Limiter, signals: Signals) -> None:
        """Counted by the lane's path, which no other has, and told by its name."""
        self._path = path
        self._lane = lane
        self._limiter = limiter
        self._signals = signals
        self._closed = settings.when_down == "closed"
        self._address = _rates(tuple(settings.address))
        factors = {"": 1.0, **settings.roles}
        self._caller = {
            role: _rates(tuple(settings.caller), factor, settings.burst) for role, factor in factors.items()
        }
        self._routes = {
            route: {role: _rates(tuple(texts), factor) for role, factor in factors.items()}
            for route, texts in settings.routes.items()
        }
        self._told_at = -math.inf

    async def before(self, peer: str | None) -> None:
        """Count a request of this address, or refuse it."""
        if self._address:
            await self._hit("address", neighbourhood(peer), self._address)

    async def after(self, identity: Identity, peer: str | None, route: str) -> None:
        """Count a request of this caller for this route, or refuse it; a key with rates of its own has only those."""
        who = neighbourhood(peer) if identity is ANONYMOUS else f"{identity.project}/{identity.subject}"
        role = identity.role if identity.role in self._caller else ""
        if identity.rates:
            await self._hit("key", identity.credential or who, _rates(identity.rates))
        elif rates := self._caller[role]:
            await self._hit("caller", who, rates)
        if route in self._routes:
            await self._hit("route", f"{route} {who}", self._routes[route][role])

    async def _hit(self, by: str, who: str, rates: Sequence[Rate]) -> None:
        try:
            verdict = await self._limiter.hit(f"{self._path}:{by}:{who}", rates)
        except Exception as error:
            self._tell(error)
            if self._closed:
                raise Unavailable("limits cannot be counted right now", code="limiter_unavailable") from error
            return
        if self._told_at != -math.inf:
            self._told_at = -math.inf
            self._signals.event("limits.back", lane=self._lane)
        if not verdict.allowed:
            self._signals.count("limits.refused", lane=self._lane, by=by)
            raise TooManyRequests(
                f"more requests of this {_WHOSE[by]} than {_words(rates, verdict)}", headers=_headers(rates, verdict)
            )

    def _tell(self, error: Exception) -> None:
        """Now and then: it is the same for every request."""
        now = time.monotonic()
        if now - self._told_at < TOLD_EVERY_SECONDS:
            return
        self._told_at = now
        meaning = "every request is refused" if self._closed else "nobody is limited"
        cause = "" if error.__cause__ is None else f": {error.__cause__}"
        self._signals.event("limits.down", "warning", lane=self._lane, reason=f"{error}{cause}", meaning=meaning)


_WHOSE: Final = {"address": "address", "key": "key", "caller": "caller", "route": "caller to this route"}


@lru_cache(maxsize=4096)
def _rates(texts: tuple[str, ...], factor: float = 1.0, burst: int = 0) -> Sequence[Rate]:
    rates = sorted((rate_of(text) for text in texts), key=lambda rate: rate.seconds)
    return [
        Rate(max(1, round(rate.amount * factor)) + (burst if place == 0 else 0), rate.seconds)
        for place, rate in enumerate(rates)
    ]


def _headers(rates: Sequence[Rate], verdict: Verdict) -> dict[str, str]:
    wait = max(1, math.ceil(verdict.retry_after))
    policies = [f'"{_name(rate)}";q={rate.amount};w={rate.seconds}' for rate in rates]
    states = [
        f'"{_name(rate)}";r={left};t={wait if left < 1 else min(wait, rate.seconds)}'
        for rate, left in zip(rates, verdict.left, strict=False)
    ]
    return {"Retry-After": str(wait), "RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}


def _words(rates: Sequence[Rate], verdict: Verdict) -> str:
    """Those of which nothing is left."""
    spent = [rate for rate, left in zip(rates, verdict.left, strict=False) if left < 1] or rates
    return " or ".join(f"{rate.amount} in {rate.seconds} s" for rate in spent)


def _name(rate: Rate) -> str:
    return f"{rate.amount}/{rate.seconds}s"
