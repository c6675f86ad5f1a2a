"""From a request to a call that may be made: its model is one of ours, its caller may call it, and it is held for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.allowance import UNLIMITED, Allowance
from agentops.core.errors import BadRequest, NotFound
from agentops.core.identity import ANONYMOUS
from agentops.core.run_names import checked_run_name
from agentops.plugins.features.gateway.call import Call
from agentops.plugins.features.gateway.limits import NEVER, Need, check_cost, check_model, limits_of
from agentops.plugins.features.gateway.prices import day_of
from agentops.plugins.features.gateway.recording import run_of
from agentops.plugins.features.gateway.settings import ProjectSettings
from agentops.plugins.features.gateway.targets import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from litestar import Request

    from agentops.accounts.own_keys import OwnKeys
    from agentops.core.identity import Identity
    from agentops.core.ports.model import Api, Model
    from agentops.core.secret import Secret
    from agentops.money.till import Till
    from agentops.plugins.features.gateway.asked import Question
    from agentops.plugins.features.gateway.prices import Prices
    from agentops.plugins.features.gateway.settings import GatewaySettings, ModelSettings, TargetSettings

RUN_HEADER: Final = b"x-agentops-run"
_PASSED_ON: Final = frozenset({b"anthropic-beta", b"anthropic-version", b"openai-beta"})
"""Headers of a caller that belong to the API and hold no credential."""

_NO_LIMITS: Final = ProjectSettings()


class Desk:
    """Makes calls of requests."""

    def __init__(
        self,
        settings: GatewaySettings,
        models: Mapping[str, Model[Any]],
        prices: Prices,
        till: Till,
        own_keys: OwnKeys | None,
    ) -> None:
        self._settings = settings
        self._models = models
        self._prices = prices
        self._till = till
        self._own_keys = own_keys
        self._with_credits = settings.credits is not None
        each = msgspec.convert(settings.each_key, Allowance, from_attributes=True)
        self._allowance = UNLIMITED if each == UNLIMITED else each

    async def call_of(self, request: Request[Any, Any, Any], question: Question) -> Call:
        """A call that is held for, or the refusal."""
        identity: Identity = request.user
        model = self._model(question.asked.model)
        allowance = identity.allowance or self._allowance
        check_model(question.asked.model, allowance)
        project = self._settings.projects.get(identity.project, _NO_LIMITS)
        targets = self._targets(question.api, model)
        own_keys = await self._own_keys_for(identity, targets)
        run, headers = _told_by(request.scope["headers"])
        call = Call(
            question=question,
            identity=identity,
            content=project.content or self._settings.content,
            run=run or run_of(identity),
            targets=[target for target in targets if target.provider in own_keys] if own_keys else targets,
            headers=headers,
            most_output=model.most_output_tokens,
            until=time.monotonic() + self._settings.call_seconds,
            own_keys=own_keys,
        )
        if allowance is not UNLIMITED or project is not _NO_LIMITS or self._with_credits:
            need = self._need(call, model)
            check_cost(need.likely, allowance)
            call.limits = limits_of(identity, allowance, project, need, with_credits=self._with_credits)
            if call.limits:
                wants = [limit.want for limit in call.limits]
                await self._till.hold(call.id, wants, self._settings.wait_seconds)
        return call

    def _model(self, name: str) -> ModelSettings:
        model = self._settings.models.get(name)
        if model is None:
            message = f"there is no model {name!r} here; GET /llm/models lists them"
            raise NotFound(message, code="model_not_found", param="model", headers=NEVER)
        return model

    def _targets(self, api: Api, model: ModelSettings) -> list[TargetSettings]:
        speaking = [target for target in model.targets if api in self._models[target.provider].speaks]
        if not speaking:
            raise BadRequest("no provider of this model speaks this API", code="api_not_spoken", param="model")
        return in_order(speaking)

    async def _own_keys_for(self, identity: Identity, targets: Sequence[TargetSettings]) -> dict[str, Secret]:
        """The caller's own keys at these providers; whoever has one is served by those only, and not charged."""
        if self._own_keys is None or identity is ANONYMOUS:
            return {}
        providers = {target.provider for target in targets if self._models[target.provider].takes_keys}
        return await self._own_keys.found(identity.project, identity.subject, providers)

    def _need(self, call: Call, model: ModelSettings) -> Need:
        """At worst, whichever of the targets answers; a call is not refused for the worst, but waits for it."""
        question = call.question
        named = 0 if question.api == "embeddings" else question.most_output
        unnamed = model.most_output_tokens * (question.asked.n or 1)
        tokens = question.read_likely + (unnamed if named is None else named)
        if call.own_keys:
            return Need(0, 0, 0, tokens)
        day = day_of(call.at)
        prices = [
            price
            for target in call.targets
            if (price := self._prices.of(target.provider, target.model or question.asked.model, day)) is not None
        ]

        def dearest(read: int, wrote: int) -> int:
            return max((price.worst(read, wrote) for price in prices), default=0)

        return Need(
            worst=dearest(question.read_at_worst, unnamed if named is None else named),
            likely=dearest(question.read_likely, unnamed if named is None else named),
            least=dearest(question.read_likely // 2, 1 if named is None else named),
            tokens=tokens,
        )


def _told_by(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, dict[str, str]]:
    """The run that a caller names, and what is to be told to the provider."""
    run = ""
    passed_on: dict[str, str] = {}
    for name, value in headers:
        if name == RUN_HEADER:
            run = checked_run_name(value.decode("utf-8", errors="replace").strip())
        elif name in _PASSED_ON:
            passed_on[name.decode()] = value.decode("latin-1")
    return run, passed_on
