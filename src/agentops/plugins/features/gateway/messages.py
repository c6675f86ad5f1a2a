"""What the gateway says of itself: the models there are, what a call cost, credits and usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from agentops.money.records import Balance
    from agentops.plugins.features.gateway.call import Call


class ListedModel(msgspec.Struct):
    """As OpenAI's clients expect one."""

    id: str
    owned_by: str
    object: Literal["model"] = "model"
    created: int = 0


class ListedModels(msgspec.Struct):
    """All of them."""

    data: list[ListedModel]
    object: Literal["list"] = "list"


class CallMetadata(msgspec.Struct):
    """`_metadata` in an answer; money is whole micro-dollars."""

    provider_used: str
    cost_incurred: int
    credits_remaining: int | None
    transaction_id: str
    using_byok: bool
    byok_provider: str | None
    cache_hit: bool
    usage_estimated: bool


class Credits(msgspec.Struct):
    """What a user may still spend, in micro-dollars; without limits there is nothing to say."""

    user_id: str
    credits_remaining: int | None
    credits_allocated: int | None
    credits_used: int
    credits_held: int
    tier: str
    unit: Literal["micro-dollars"] = "micro-dollars"


_encode = msgspec.json.Encoder().encode


def with_metadata(body: bytes, call: Call) -> bytes:
    """The provider's answer, and what this server knows of it."""
    metadata = CallMetadata(
        provider_used=call.provider,
        cost_incurred=call.cost,
        credits_remaining=call.remaining,
        transaction_id=call.id,
        using_byok=call.own_key,
        byok_provider=call.provider if call.own_key else None,
        cache_hit=call.from_cache,
        usage_estimated=call.usage.estimated,
    )
    head = body.rstrip()[:-1].rstrip()
    comma = b"" if head == b"{" else b","
    return b'%b%b"_metadata":%b}' % (head, comma, _encode(metadata))


def credits_of(subject: str, balance: Balance, *, limited: bool) -> Credits:
    return Credits(
        user_id=subject,
        credits_remaining=balance.remaining if limited else None,
        credits_allocated=balance.allocated if limited else None,
        credits_used=balance.spent,
        credits_held=balance.held,
        tier=balance.tier or "",
    )


class Entry(msgspec.Struct):
    """One change of a user's credits."""

    id: str
    at: int
    kind: Literal["start", "grant", "call"]
    call: str | None
    amount: int
    before: int
    after: int
    note: str


class History(msgspec.Struct):
    """Some changes, the newest first."""

    entries: list[Entry]


class UsageRow(msgspec.Struct, omit_defaults=True):
    """What the calls of one group came to; only that is named by which they were grouped."""

    calls: int
    failed: int
    input: int
    cached: int
    written: int
    output: int
    cost: int
    day: str | None = None
    key: str | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    project: str | None = None


class UsageReport(msgspec.Struct):
    """Money is whole micro-dollars."""

    since: str
    until: str
    rows: list[UsageRow]
    unit: Literal["micro-dollars"] = "micro-dollars"
