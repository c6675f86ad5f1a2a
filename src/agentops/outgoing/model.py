"""What all providers have in common that are asked over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import TypeVar, override

from agentops.core.ports.model import Model
from agentops.outgoing.refusals import is_refusal, refusal
from agentops.outgoing.settings import ProviderSettings, wrong_settings
from agentops.outgoing.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from agentops.core.ports.model import ModelFault, Order
    from agentops.core.problem import Problem
    from agentops.core.rungs import Rungs
    from agentops.outgoing.exchange import Exchange
    from agentops.outgoing.upstream import Call

P = TypeVar("P", bound=ProviderSettings, default=ProviderSettings, covariant=True)  # noqa: PLC0105 - as in the port


class HttpModel(Model[P]):
    """Has its connections while it lives, and knows what of a call is secret."""

    def __init__(self, settings: P | None = None, /, **values: Any) -> None:
        super().__init__(settings, **values)
        self.takes_keys = self.settings.own_keys
        self._upstream: Upstream | None = None

    @override
    def check(self) -> Iterable[Problem]:
        return wrong_settings(self.settings)

    @override
    def life(self, rungs: Rungs) -> AbstractAsyncContextManager[object]:
        self._upstream = Upstream(self.settings)
        return self._upstream.life()

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Call:
        if self._upstream is None:
            raise RuntimeError("the provider is not started: enter `life()`")
        return self._upstream.post(path, body, headers)

    def secrets(self, order: Order) -> list[str]:
        """What no answer and no error may show."""
        secrets = [self.settings.key, order.key, *self.settings.headers.values()]
        return [secret.reveal() for secret in secrets if secret is not None]

    async def refused(self, answer: Exchange, order: Order) -> ModelFault | None:
        """What to raise, if the provider says no."""
        if not is_refusal(answer):
            return None
        return await refusal(answer, self.secrets(order), key_is_ours=order.key is None)
