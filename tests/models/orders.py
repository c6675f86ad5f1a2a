"""Orders as the gateway makes them of a request's body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentops.core.ports.model import Api, Order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.core.ports.model import Model, Piece


def order(api: Api, fields: Mapping[str, Any], *, streamed: bool = False, model: str = "some-model") -> Order:
    return Order(
        api, model, {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}, streamed
    )


def chat(*said: str, streamed: bool = False, model: str = "some-model", **fields: Any) -> Order:
    """What users said, one message each."""
    messages = [{"role": "user", "content": text} for text in said]
    return order("chat", {"messages": messages, **fields}, streamed=streamed, model=model)


async def pieces(model: Model[Any], asked: Order) -> list[Piece]:
    return [piece async for piece in model.stream(asked)]
