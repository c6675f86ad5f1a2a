"""What can be known to be wrong with the settings before anything is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentops.core.problem import Problem, nearest
from agentops.core.records import now_ms
from agentops.plugins.features.gateway.prices import day_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agentops.core.ports.model import Model
    from agentops.plugins.features.gateway.prices import Prices
    from agentops.plugins.features.gateway.settings import GatewaySettings


def check_models(settings: GatewaySettings) -> Iterator[Problem]:
    if not settings.models:
        yield Problem(
            "models",
            "no model is named",
            "every call would be refused",
            'add [features.gateway.models.<name>] with targets = [{ provider = "…" }]',
        )
    for index, name in enumerate(settings.each_key.models):
        if name not in settings.models:
            yield _unknown_model(f"each_key.models[{index}]", name, settings.models)


def check_prices(settings: GatewaySettings, prices: Prices) -> Iterator[Problem]:
    """A call without a price would be charged nothing, and no budget would ever end it."""
    asked = {
        (target.provider, target.model or name): f"models.{name}.targets[{index}]"
        for name, model in settings.models.items()
        for index, target in enumerate(model.targets)
    }
    for (provider, model), key in asked.items():
        if not prices.all_of(provider, model):
            yield Problem(
                key,
                f"{model!r} of {provider!r} has no price",
                "its calls would cost nothing, and no budget would end them",
                f'add [[features.gateway.prices]] with provider = "{provider}", model = "{model}", input, output; '
                "0 is a price",
            )
        elif prices.of(provider, model, day_of(now_ms())) is None:
            yield Problem(
                key,
                f"{model!r} of {provider!r} has no price yet",
                "until the first day that has one its calls would cost nothing, and no budget would end them",
                "add a price without `since`, for the days before",
            )
    for index, price in enumerate(settings.prices):
        if (price.provider, price.model) not in asked:
            yield Problem(
                f"prices[{index}]",
                f"no model is asked of {price.provider!r} as {price.model!r}",
                "this price would never be used",
                nearest(price.model, {model for _, model in asked}),
            )


def check_providers(settings: GatewaySettings, models: Mapping[str, Model[Any]]) -> Iterator[Problem]:
    for name, model in settings.models.items():
        for index, target in enumerate(model.targets):
            if target.provider not in models:
                yield Problem(
                    f"models.{name}.targets[{index}].provider",
                    f"no provider is called {target.provider!r}",
                    "nobody could be asked",
                    nearest(target.provider, models) if models else f"add a table [models.{target.provider}]",
                )


def _unknown_model(key: str, name: str, known: Collection[str]) -> Problem:
    return Problem(key, f"there is no model {name!r}", "nobody could call it", nearest(name, known))
