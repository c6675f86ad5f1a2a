"""The feature: what it needs to stand, its parts in order, and its routes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath

from agentops.accounts.own_keys import OwnKeys
from agentops.accounts.ring import Ring, check_ring
from agentops.core.http.express import EXPRESS
from agentops.core.ports.feature import Feature
from agentops.money.till import Till
from agentops.plugins.features.gateway import openapi
from agentops.plugins.features.gateway.cache import Cache
from agentops.plugins.features.gateway.calls import Calls
from agentops.plugins.features.gateway.checks import check_models, check_prices, check_providers
from agentops.plugins.features.gateway.desk import Desk
from agentops.plugins.features.gateway.figures import Figures
from agentops.plugins.features.gateway.own_keys import Safe
from agentops.plugins.features.gateway.prices import Prices
from agentops.plugins.features.gateway.room import Room
from agentops.plugins.features.gateway.serving import Serving
from agentops.plugins.features.gateway.settings import CreditSettings, GatewaySettings
from agentops.plugins.features.gateway.settling import Settling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence

    from agentops.core.config.settings import ErrorStyle
    from agentops.core.ports.auth import Authenticator
    from agentops.core.ports.model import Model
    from agentops.core.problem import Problem
    from agentops.core.rungs import Rungs
    from agentops.core.secret import Secret

AnyRequest = Request[Any, Any, Any]

BASE: Final = "/llm"
AGAIN: Final = f"{BASE}/v1"
"""Clients of Anthropic add the version to the address, and some people write it there for OpenAI's."""


class Gateway(Feature[GatewaySettings]):
    """`serve = ["gateway"]`: one address for the models of all providers, with limits, prices and a record."""

    permissions: ClassVar = {
        "llm:call": "call models, and see one's own usage and credits",
        "llm:keys": "store, see and delete one's own keys for providers",
        "llm:manage": "see everybody's usage",
    }
    error_styles: ClassVar[Mapping[str, ErrorStyle]] = MappingProxyType(
        {BASE: "openai", f"{BASE}/messages": "anthropic", f"{AGAIN}/messages": "anthropic"}
    )

    _serving: Serving
    _figures: Figures
    _safe: Safe

    @property
    def ring(self) -> Sequence[Secret]:
        return self.settings.ring

    def check(self) -> Iterable[Problem]:
        yield from check_models(self.settings)
        yield from check_prices(self.settings, Prices(self.settings.prices))
        yield from check_ring(self.settings.ring)

    def check_beside(self, auth: Mapping[str, Authenticator], models: Mapping[str, Model]) -> Iterable[Problem]:
        yield from check_providers(self.settings, models)

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        settings, signals, prices = self.settings, rungs.signals, Prices(self.settings.prices)
        till = self._till(rungs)
        own_keys = OwnKeys(rungs.storage, Ring(self.ring), signals) if self.ring else None
        settling = Settling(rungs.events, till, signals, own_keys, record=settings.record)
        cache = None if settings.cache is None else Cache(settings.cache)
        calls = Calls(
            rungs.models, rungs.retry if rungs.has("retry") else None, prices, cache, settling=settling, signals=signals
        )
        desk = Desk(settings, rungs.models, prices, till, own_keys)
        self._serving = Serving(desk, calls, settling, Room(settings.bytes_in_flight, signals), settings.call_seconds)
        if own_keys is not None:
            self._safe = Safe(own_keys, [name for name, model in rungs.models.items() if model.takes_keys])
        self._figures = Figures(settings.models, till, with_credits=settings.credits is not None)
        async with till.life():
            silence = rungs.draining.tell(self._serving.drain)
            try:
                yield
            finally:
                silence()

    def _till(self, rungs: Rungs) -> Till:
        settings, start = self.settings, self.settings.credits or CreditSettings()
        return Till(
            rungs.storage,
            rungs.events,
            rungs.signals,
            settings.hold_seconds,
            keep_days=settings.keep_days,
            starting_credits=start.starting,
            starting_tier=start.tier,
        )

    def routes(self) -> Sequence[object]:
        return [*self._under(BASE, in_schema=True), *self._under(AGAIN, in_schema=False)]

    def _under(self, base: str, *, in_schema: bool) -> Iterator[object]:
        call: dict[str, Any] = {"opt": {"permission": "llm:call", EXPRESS: True}, "include_in_schema": in_schema}
        public: dict[str, Any] = {"opt": {"public": True}, "include_in_schema": in_schema}
        own: dict[str, Any] = {"opt": {"permission": "llm:call"}, "include_in_schema": in_schema}
        yield post(f"{base}/chat/completions", **call, **openapi.CALLS["chat"])(self.chat)
        yield post(f"{base}/embeddings", **call, **openapi.CALLS["embeddings"])(self.embeddings)
        yield post(f"{base}/responses", **call, **openapi.CALLS["responses"])(self.responses)
        yield post(f"{base}/messages", **call, **openapi.CALLS["messages"])(self.messages)
        yield get(f"{base}/models", **public, **openapi.MODELS)(self.models)
        yield get(f"{base}/models/{{model_id:str}}", **public, **openapi.MODEL)(self.model)
        yield get(f"{base}/credits", **own, **openapi.CREDITS)(self.credits)
        yield get(f"{base}/credits/history", **own, **openapi.HISTORY)(self.history)
        yield get(f"{base}/usage", **own, **openapi.USAGE)(self.usage)
        if self.ring:
            keys: dict[str, Any] = {"opt": {"permission": "llm:keys"}, "include_in_schema": in_schema}
            path = f"{base}/byok/keys"
            yield post(path, **keys, **openapi.STORE_KEY)(self.store_key)
            yield get(path, **keys, **openapi.LIST_KEYS)(self.list_keys)
            yield delete(f"{path}/{{provider:str}}", status_code=200, **keys, **openapi.DELETE_KEY)(self.delete_key)

    async def chat(self, request: AnyRequest) -> Response[bytes]:
        return await self._serving.serve("chat", request)

    async def embeddings(self, request: AnyRequest) -> Response[bytes]:
        return await self._serving.serve("embeddings", request)

    async def responses(self, request: AnyRequest) -> Response[bytes]:
        return await self._serving.serve("responses", request)

    async def messages(self, request: AnyRequest) -> Response[bytes]:
        return await self._serving.serve("messages", request)

    async def models(self, request: AnyRequest) -> Response[bytes]:
        return self._figures.models()

    async def model(self, request: AnyRequest, model_id: FromPath[str]) -> Response[bytes]:
        return self._figures.model(model_id)

    async def credits(self, request: AnyRequest) -> Response[bytes]:
        return await self._figures.credits(request)

    async def history(self, request: AnyRequest) -> Response[bytes]:
        return await self._figures.history(request)

    async def usage(self, request: AnyRequest) -> Response[bytes]:
        return await self._figures.usage(request)

    async def store_key(self, request: AnyRequest) -> Response[bytes]:
        return await self._safe.put(request)

    async def list_keys(self, request: AnyRequest) -> Response[bytes]:
        return await self._safe.list(request)

    async def delete_key(self, request: AnyRequest, provider: FromPath[str]) -> Response[bytes]:
        return await self._safe.delete(request, provider)
