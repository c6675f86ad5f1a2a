"""One call: what was asked by whom, and what has come of it by now."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentops.core.ports.model import ModelFault, Usage
from agentops.core.records import now_ms
from agentops.plugins.features.gateway.asked import BYTES_A_TOKEN

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from agentops.core.identity import Identity
    from agentops.core.secret import Secret
    from agentops.money.records import Outcome
    from agentops.plugins.features.gateway.asked import Question
    from agentops.plugins.features.gateway.limits import Limit
    from agentops.plugins.features.gateway.prices import Price
    from agentops.plugins.features.gateway.settings import Content, TargetSettings


class Failure(NamedTuple):
    """A try that failed."""

    at: int
    provider: str
    status: int | None
    message: str

    def told(self) -> dict[str, Any]:
        return {"provider": self.provider, "status": self.status, "message": self.message}


NOTHING: Final = Usage()
TOKENS_MOST: Final = 10**12
"""A count above is none, and no database could add up what it costs."""


@dataclass(slots=True, eq=False)
class Call:
    """Made by the routes, carried out by `Calls`."""

    question: Question
    identity: Identity
    content: Content
    run: str
    targets: Sequence[TargetSettings]
    headers: Mapping[str, str]
    most_output: int
    """What it may write if it names no bound."""
    until: float
    """When it has to be over, by the monotonic clock."""
    id: str = field(default_factory=lambda: f"{now_ms():011x}{secrets.token_hex(10)}")
    at: int = field(default_factory=now_ms)
    limits: Sequence[Limit] = ()
    own_keys: dict[str, Secret] = field(default_factory=dict["str", "Secret"])
    provider: str = ""
    target: str = ""
    price: Price | None = None
    own_key: bool = False
    from_cache: bool = False
    tries: int = 0
    failures: list[Failure] = field(default_factory=list[Failure])
    outcome: Outcome = "failed"
    counted: Usage | None = None
    """What the provider counted."""
    wrote: int = 0
    """Bytes of text that came."""
    answer: bytes = b""
    texts: list[str] = field(default_factory=list[str])
    """What came, if it is kept: at once, or bit by bit."""
    first_ms: int | None = None
    ended_at: int = 0
    usage: Usage = NOTHING
    cost: int = 0
    """What it comes to, once it has ended."""
    asking_told: asyncio.Future[bool] | None = None
    """Whether the run was told that it began; nothing while it need not be told yet."""
    remaining: int | None = None
    """Of the credits, or the budget that has least, once it is settled."""

    def began(self) -> None:
        if self.first_ms is None:
            self.first_ms = now_ms() - self.at

    def count(self, usage: Usage) -> None:
        """Take what the provider counted, if these are counts: one below nothing would pay whoever called."""
        if all(type(count) is int and 0 <= count <= TOKENS_MOST for count in usage[:4]):
            self.counted = usage

    def ended(self, outcome: Outcome) -> None:
        """Work out what it used: as the provider counted, or would have; nothing, if the provider failed at once."""
        self.outcome, self.ended_at = outcome, now_ms()
        if outcome == "ok" and self.counted is not None:
            self.usage = self.counted
        elif self.first_ms is not None:
            known = self.counted or Usage(input=self.question.read_likely)
            likely, most = -(-self.wrote // BYTES_A_TOKEN), self.question.most_output
            output = max(known.output, likely if most is None else min(likely, most))  # for no more is held
            self.usage = known._replace(output=output, estimated=True)
        elif outcome == "left" and self.tries > len(self.failures):
            self.usage = Usage(input=self.question.read_likely, estimated=True)  # it was sent, and is being read
        if self.price is not None and not (self.own_key or self.from_cache):
            self.cost = self.price.cost(self.usage)

    def failed(self, error: Exception) -> None:
        status = error.status if isinstance(error, ModelFault) else None
        message = error.message if isinstance(error, ModelFault) else type(error).__name__
        self.failures.append(Failure(now_ms(), self.provider, status, message[:500]))
