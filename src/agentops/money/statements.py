"""The changes of purses, holds, the ledger and usage, as statements that go with an append.

Whoever changes a purse names it as a lock, so that what one statement found holds true for the next. Of ways to say
the same, these are the ones for which SQLite makes no table on the side: that would take longer than all else.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from agentops.core.errors import Conflict
from agentops.core.ports.storage import Statement
from agentops.core.records import now_ms
from agentops.money.purses import CREDITS, day_named, whose_credits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentops.core.errors import Refusal
    from agentops.money.records import CallRecord, EntryKind
    from agentops.money.wants import Held, Want

AS_IT_IS: Final = -1
"""In the place of a size: the one that the row says."""

_BIG: Final = "CAST(? AS BIGINT)"
"""Without a type, a mark may be taken for a text, or for a number that is too small."""

_CLAIMED: Final = -1
"""The end of a hold that is being taken back: nobody renews it any more."""

_OPEN: Final = """
    INSERT INTO purses (id, period, size, spent, held, tier) VALUES (?, 0, ?, 0, 0, ?) ON CONFLICT (id) DO NOTHING
"""
_GRANT: Final = """
    INSERT INTO purses (id, period, size, spent, held, tier)
    SELECT CAST(? AS TEXT), 0, CAST(? AS BIGINT), 0, 0, CAST(? AS TEXT)
    WHERE CAST(? AS BIGINT) >= 0 OR EXISTS (SELECT 1 FROM purses WHERE id = ?)
    ON CONFLICT (id) DO UPDATE SET
        size = purses.size + excluded.size,
        tier = coalesce(excluded.tier, purses.tier)
    WHERE purses.size + excluded.size >= purses.spent + purses.held
"""
_ENTER: Final = """
    INSERT INTO ledger (at, project, subject, kind, call, amount, balance_before, balance_after, note)
    SELECT CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT),
        size - spent - CAST(? AS BIGINT), size - spent, CAST(? AS TEXT)
    FROM purses WHERE id = ?
"""
_GIVE_BACK: Final = """
    UPDATE purses SET held = held - (SELECT amount FROM holds WHERE call = ? AND purse = purses.id)
    WHERE id IN (SELECT purse FROM holds WHERE call = ?)
"""
_CLAIM: Final = f"UPDATE holds SET expires_at = {_CLAIMED} WHERE call = ? AND expires_at BETWEEN 0 AND ?"  # noqa: S608 - a number
_GIVE_BACK_CLAIMED: Final = f"""
    UPDATE purses SET held = held - (
        SELECT amount FROM holds WHERE call = ? AND purse = purses.id AND expires_at = {_CLAIMED}
    )
    WHERE id IN (SELECT purse FROM holds WHERE call = ? AND expires_at = {_CLAIMED})
"""  # noqa: S608 - as above
_FORGET: Final = "DELETE FROM holds WHERE call = ?"
_FORGET_CLAIMED: Final = f"DELETE FROM holds WHERE call = ? AND expires_at = {_CLAIMED}"  # noqa: S608 - as above
_RECORD: Final = """
    INSERT INTO calls (
        id, at, project, subject, credential, api, model, provider, target, outcome, input, cached, written, output,
        estimated, cost, own_key, tries, first_ms, ms, run
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
_COUNT: Final = """
    INSERT INTO usage (
        project, day, subject, credential, model, provider, calls, failed, input, cached, written, output, cost
    ) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (project, day, subject, credential, model, provider) DO UPDATE SET
        calls = usage.calls + excluded.calls,
        failed = usage.failed + excluded.failed,
        input = usage.input + excluded.input,
        cached = usage.cached + excluded.cached,
        written = usage.written + excluded.written,
        output = usage.output + excluded.output,
        cost = usage.cost + excluded.cost
"""


class NoRoom(Conflict):
    """At least one of the purses has no room for what is wanted of it."""


class AlreadySettled(Conflict):
    """So nothing is left to be done."""


class AlreadyOpen(Conflict):
    """The purse is there."""


class Renewed(Conflict):
    """The hold does not end yet."""


def hold(call: str, wants: Sequence[Want], expires_at: int) -> Sequence[Statement]:
    """Hold of every purse what is wanted of it, or of none."""
    notes: list[str | int | None] = []
    rooms: list[str | int | None] = []
    values: list[str | int | None] = []
    for want in wants:
        purse, period, amount, size = want[:4]
        size = AS_IT_IS if size is None else size
        notes += (call, purse, period, amount, expires_at)
        rooms += (amount, period, size, size, purse, amount, size)
        values += (purse, period, size, amount)
    count = len(wants)
    names = [want.purse for want in wants]
    return (
        Statement(_note(count), notes + rooms, NoRoom("not all of it fits"), names),
        Statement(_hold(count), values),
    )


def release(call: str, purses: Sequence[str]) -> Sequence[Statement]:
    """Give back what the call holds; that it holds nothing is no mistake."""
    return Statement(_GIVE_BACK, (call, call), None, purses), Statement(_FORGET, (call,))


def sweep(call: str, purses: Sequence[str], now: int) -> Sequence[Statement]:
    """Give back what the call holds and nobody has renewed; refused when somebody has."""
    return (
        Statement(_CLAIM, (call, now), Renewed(), purses),
        Statement(_GIVE_BACK_CLAIMED, (call, call)),
        Statement(_FORGET_CLAIMED, (call,)),
    )


def settle(record: CallRecord, held: Mapping[str, Held], spends: Mapping[str, int]) -> Sequence[Statement]:
    """Record the call, spend what it used and give back what it held; refused when that was done before.

    Returns how each purse stands then: its name, its period, its size and what is spent of it.
    """
    statements = [Statement(_RECORD, record, AlreadySettled("this call is settled"), [*held]), _counted(record)]
    if held:
        values: list[str | int | None] = []
        for purse, (period, _) in held.items():
            values += (purse, record.id, purse, period, spends.get(purse, 0), record.id, purse)
        statements += (Statement(_spend(len(held)), values), Statement(_FORGET, (record.id,)))
    for purse, spent in spends.items():
        if spent and purse.startswith(CREDITS):
            statements.append(_entered(record.at + record.ms, purse, -spent, "call", call=record.id))
    return statements


def open_credits(purse: str, size: int, tier: str | None) -> Sequence[Statement]:
    """Make somebody's purse of credits with what everybody starts with; refused when it is there."""
    opened = Statement(_OPEN, (purse, size, tier), AlreadyOpen(), (purse,))
    return (opened, _entered(now_ms(), purse, size, "start")) if size else (opened,)


def grant(purse: str, amount: int, note: str, tier: str | None, otherwise: Refusal) -> Sequence[Statement]:
    """Change what somebody was granted; refused when less would be left than is spent and held."""
    changed = Statement(_GRANT, (purse, amount, tier, amount, purse), otherwise, (purse,))
    return (changed, _entered(now_ms(), purse, amount, "grant", note=note)) if amount else (changed,)


@cache
def renew(count: int) -> str:
    """Move the end of the holds of so many calls, unless they are being taken back."""
    return f"UPDATE holds SET expires_at = ? WHERE call IN ({_marks(count)}) AND expires_at >= 0"  # noqa: S608 - marks


@cache
def states(count: int) -> str:
    """How so many purses stand."""
    return f"SELECT id, period, size, spent, held FROM purses WHERE id IN ({_marks(count)})"  # noqa: S608 - marks


def _counted(record: CallRecord) -> Statement:
    names = record.project, day_named(record.at), record.subject, record.credential, record.model, record.provider
    tokens = record.input, record.cached, record.written, record.output
    return Statement(_COUNT, (*names, int(record.is_failed), *tokens, record.cost), None, ("\0".join(names),))


def _entered(
    at: int, purse: str, amount: int, kind: EntryKind, *, call: str | None = None, note: str = ""
) -> Statement:
    """Behind the change itself: the balance before is reckoned from the one that it left."""
    project, subject = whose_credits(purse) or ("", "")
    return Statement(_ENTER, (at, project, subject, kind, call, amount, amount, note, purse))


def _marks(count: int) -> str:
    return ", ".join("?" * count)


@cache
def _note(count: int) -> str:
    """Note what is held, if there is room for all of it.

    The period is the row's: where clocks differ, another instance may have begun the next one already.
    """
    row = f"(CAST(? AS TEXT), CAST(? AS TEXT), {_BIG}, {_BIG}, {_BIG})"
    room = f"""coalesce(
        (
            SELECT {_BIG} + held + CASE WHEN period >= {_BIG} THEN spent ELSE 0 END
                <= CASE WHEN {_BIG} = {AS_IT_IS} THEN size ELSE {_BIG} END
            FROM purses WHERE id = ?
        ),
        {_BIG} <= {_BIG}
    )"""  # noqa: S608 - as below
    return f"""
        INSERT INTO holds (call, purse, period, amount, expires_at)
        SELECT column1, column2,
            coalesce((SELECT period FROM purses WHERE id = column2 AND period > column3), column3), column4, column5
        FROM (VALUES {", ".join([row] * count)}) AS wanted
        WHERE {" AND ".join([room] * count)}
    """  # noqa: S608 - marks


@cache
def _hold(count: int) -> str:
    row = f"(CAST(? AS TEXT), {_BIG}, {_BIG}, 0, {_BIG})"
    return f"""
        INSERT INTO purses (id, period, size, spent, held) VALUES {", ".join([row] * count)}
        ON CONFLICT (id) DO UPDATE SET
            period = CASE WHEN excluded.period > purses.period THEN excluded.period ELSE purses.period END,
            size = CASE WHEN excluded.size = {AS_IT_IS} THEN purses.size ELSE excluded.size END,
            spent = CASE WHEN excluded.period > purses.period THEN 0 ELSE purses.spent END,
            held = purses.held + excluded.held
    """  # noqa: S608 - as above


@cache
def _spend(count: int) -> str:
    """What was held in a period that is over is spent in that one, and no longer told of."""
    period = f"coalesce((SELECT period FROM holds WHERE call = ? AND purse = ?), {_BIG})"  # noqa: S608 - as above
    held = "coalesce((SELECT amount FROM holds WHERE call = ? AND purse = ?), 0)"
    row = f"(CAST(? AS TEXT), {period}, 0, {_BIG}, {held})"
    return f"""
        INSERT INTO purses (id, period, size, spent, held) VALUES {", ".join([row] * count)}
        ON CONFLICT (id) DO UPDATE SET
            held = purses.held - excluded.held,
            spent = purses.spent + CASE WHEN purses.period = excluded.period THEN excluded.spent ELSE 0 END
        RETURNING id, period, size, spent
    """  # noqa: S608 - as above
