"""A gateway that is served: who may call is known by a header, and what the models answer is theirs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anthropic
import openai

from agentops import Authenticator, Caller, Identity, Kit, Lane, NoSettings
from agentops.core.signals import REQUEST
from agentops.plugins.features.gateway import Gateway
from agentops.plugins.features.runs import Runs
from agentops.plugins.models.fixture import Fixture
from agentops.testing.server import serving
from tests.core.parts import Kept, storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from datetime import date

    import httpx

    from agentops.core.allowance import Allowance
    from agentops.core.ports.feature import Feature
    from agentops.core.ports.model import Model
    from agentops.core.ports.retry import Retry
    from agentops.core.ports.storage import Storage
    from agentops.testing.server import LiveServer

CHAT: Final = "/api/llm/chat/completions"
PRICE: Final = {"input": 1_000_000, "output": 1_000_000}
"""A micro-dollar a token."""


class Who(Authenticator[NoSettings]):
    """Lets in whoever says who they are, with what was said of them."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Identity] = {}

    async def authenticate(self, caller: Caller) -> Identity | None:
        name = (caller.header("authorization") or "").removeprefix("Bearer ") or caller.header("x-api-key")
        return self.known.get(name or "")


@dataclass(slots=True)
class Gated:
    """A server, and ways to call it."""

    server: LiveServer
    kit: Kit
    who: Who
    told: Kept
    made: list[Any] = field(default_factory=list[Any])

    def let_in(self, name: str, allowance: Allowance | None = None, project: str = "default") -> Gated:
        self.who.known[name] = Identity(name, project, frozenset({"*"}), credential=f"key:{name}", allowance=allowance)
        return self

    def client(self, name: str = "alice", *, max_retries: int = 0) -> openai.AsyncOpenAI:
        made = openai.AsyncOpenAI(base_url=f"{self.server.url}/api/llm", api_key=name, max_retries=max_retries)
        self.made.append(made)
        return made

    def anthropic_client(self, name: str = "alice", *, by_token: bool = False) -> anthropic.AsyncAnthropic:
        """It sends what it knows the caller by as `x-api-key`, or as a bearer token."""
        made = anthropic.AsyncAnthropic(
            base_url=f"{self.server.url}/api/llm",
            api_key=None if by_token else name,
            auth_token=name if by_token else None,
            max_retries=0,
        )
        self.made.append(made)
        return made

    @property
    def served(self) -> int:
        """How many requests have been answered."""
        return len(self.told.named(REQUEST))

    async def chat(self, name: str = "alice", text: str = "hello", **fields: Any) -> httpx.Response:
        body = {"model": "small", "messages": [{"role": "user", "content": text}], **fields}
        return await self.server.client.post(CHAT, json=body, headers={"Authorization": f"Bearer {name}"})

    async def get(self, path: str, name: str = "alice") -> Any:
        answer = await self.server.client.get(f"/api{path}", headers={"Authorization": f"Bearer {name}"})
        return answer.raise_for_status().json()

    async def events(self, run: str, name: str = "alice") -> list[Any]:
        found: list[Any] = await self.get(f"/runs/{run}/events", name)
        return found


@asynccontextmanager
async def gated(
    storage: Path | Storage[Any],
    models: Mapping[str, Model[Any]] | None = None,
    *,
    targets: list[dict[str, Any]] | None = None,
    retry: Retry[Any] | None = None,
    price: Mapping[str, int | date] = PRICE,
    beside: Sequence[Feature[Any]] = (),
    **settings: Any,
) -> AsyncGenerator[Gated]:
    """Serve the model `small` of these providers, each for the same price; else of one that says things back."""
    providers = models or {"echo": Fixture()}
    asked = targets or [{"provider": provider} for provider in providers]
    prices = [{"provider": target["provider"], "model": target.get("model", "small"), **price} for target in asked]
    gateway = Gateway(**{"models": {"small": {"targets": asked}}, "prices": prices, **settings})
    who, told = Who(), Kept()
    kit = Kit(
        storage=storage_in(storage) if isinstance(storage, Path) else storage,
        models=providers,
        retry=retry,
        telemetry={"kept": told},
        auth={"who": who},
        lanes=[Lane("/api", auth=["who"], serve=[gateway, Runs(), *beside], errors="detail")],
    )
    async with serving(kit) as server:
        gate = Gated(server, kit, who, told).let_in("alice")
        try:
            yield gate
        finally:
            for client in gate.made:
                await client.close()
