"""What a call needs of its caller's, its project's and its user's limits, and what is said when one has no room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from agentops.accounts.keys import CREDENTIAL
from agentops.core.dollars import in_dollars
from agentops.core.errors import BadRequest, Forbidden, TooManyRequests
from agentops.core.records import now_ms
from agentops.money import purses
from agentops.money.wants import Want

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agentops.core.allowance import Allowance
    from agentops.core.errors import Refusal
    from agentops.core.identity import Identity
    from agentops.plugins.features.gateway.settings import ProjectSettings

NEVER: Final = {"x-should-retry": "false"}
"""For clients that try again by themselves: it would be in vain."""

Unit = Literal["money", "tokens", "requests", "parallel"]


class Need(NamedTuple):
    """What a call may cost: at worst, most likely if it writes all it may, and to begin with; and its tokens.

    The worst is held, for a budget is never to be overdrawn; the least is enough for one that is alone.
    """

    worst: int
    likely: int
    least: int
    tokens: int


class Limit(NamedTuple):
    """A purse that a call is held for, and in what it is counted."""

    want: Want
    unit: Unit


def limits_of(
    identity: Identity, allowance: Allowance, project: ProjectSettings, need: Need, *, with_credits: bool
) -> list[Limit]:
    """In an order that is the same for all, so that none waits in a circle."""
    found = [*_of_key(identity, allowance, need)]
    if need.worst:
        of_project = partial(purses.of_project, identity.project)
        found += _budgets(of_project, "project", project.budget_day, project.budget_month, need)
        if with_credits:
            found.append(_of_credits(identity, need))
    return sorted(found, key=lambda limit: limit.want.purse)


def spends_of(limits: Iterable[Limit], cost: int, tokens: int) -> dict[str, int]:
    """What a call that has ended takes from the purses that it was held for."""
    amounts: dict[Unit, int] = {"money": cost, "tokens": tokens, "requests": 1, "parallel": 0}
    return {limit.want.purse: amounts[limit.unit] for limit in limits}


def check_model(model: str, allowance: Allowance) -> None:
    if allowance.models and model not in allowance.models:
        message = f"this key may not call {model!r}; it may call {', '.join(sorted(allowance.models))}"
        raise Forbidden(message, code="model_not_allowed", param="model", headers=NEVER)


def check_cost(cost: int, allowance: Allowance) -> None:
    most = allowance.cost_per_call
    if most is not None and cost > most:
        message = (
            f"this call may cost ${in_dollars(cost)}, and a call of this key ${in_dollars(most)} at most: "
            "ask for less, or name a smaller `max_completion_tokens`"
        )
        raise BadRequest(message, code="cost_limit_exceeded", headers=NEVER)


def _of_key(identity: Identity, allowance: Allowance, need: Need) -> Iterator[Limit]:
    key, now = _name_of(identity, allowance), now_ms()
    minute, wait = purses.minute(now), {"Retry-After": str(60 - now // 1000 % 60)}
    if (most := allowance.requests_per_minute) is not None:
        refusal = partial(_too_many, f"this key may make {most} calls a minute", wait)
        yield Limit(Want(purses.of_key(key, "requests"), minute, 1, most, refusal), "requests")
    if (most := allowance.tokens_per_minute) is not None:
        what = f"this key may use {most} tokens a minute, and this call may use {need.tokens}"
        refusal = partial(_too_many, what, wait if need.tokens <= most else NEVER)
        yield Limit(Want(purses.of_key(key, "tokens"), minute, need.tokens, most, refusal), "tokens")
    if (most := allowance.parallel) is not None:
        refusal = partial(_too_many, f"this key may make {most} calls at once", {"Retry-After": "1"})
        yield Limit(Want(purses.of_key(key, "parallel"), purses.FOR_EVER, 1, most, refusal), "parallel")
    if need.worst:
        yield from _budgets(partial(purses.of_key, key), "key", allowance.budget_day, allowance.budget_month, need)


def _name_of(identity: Identity, allowance: Allowance) -> str:
    """Where a credential has no name, its limits are those of the caller."""
    credential = allowance.counts_as or identity.credential
    if credential is not None:
        return credential.removeprefix(CREDENTIAL)
    return purses.caller(identity.project, identity.subject)


def _budgets(
    purse: Callable[[str], str], whose: str, day: int | None, month: int | None, need: Need
) -> Iterator[Limit]:
    now = now_ms()
    if day is not None:
        refusal = partial(_over_budget, whose, "day", day, need, now)
        yield Limit(_money(purse("day"), purses.day(now), need, day, refusal), "money")
    if month is not None:
        refusal = partial(_over_budget, whose, "month", month, need, now)
        yield Limit(_money(purse("month"), purses.month(now), need, month, refusal), "money")


def _of_credits(identity: Identity, need: Need) -> Limit:
    refusal = partial(_no_money, "this user's credit", need)
    purse = purses.of_credits(identity.project, identity.subject)
    return Limit(_money(purse, purses.FOR_EVER, need, None, refusal), "money")


def _money(purse: str, period: int, need: Need, size: int | None, refusal: Callable[[], Refusal]) -> Want:
    return Want(purse, period, need.worst, size, refusal, need.least, waits=True)


def _over_budget(whose: str, period: Literal["day", "month"], size: int, need: Need, now: int) -> Refusal:
    ends = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        ends += timedelta(days=1)
    else:
        ends = (ends.replace(day=1) + timedelta(days=32)).replace(day=1)
    what = f"the budget of this {whose} for a {period}, ${in_dollars(size)},"
    return _no_money(what, need, f" until {ends:%Y-%m-%dT%H:%M:%SZ}")


def _no_money(what: str, need: Need, until: str = "") -> Refusal:
    message = f"{what} has not enough left{until} for this call, which may cost ${in_dollars(need.likely)}"
    return TooManyRequests(message, code="insufficient_quota", headers=NEVER)


def _too_many(what: str, headers: Mapping[str, str]) -> Refusal:
    return TooManyRequests(what, code="rate_limit_exceeded", headers=headers)
