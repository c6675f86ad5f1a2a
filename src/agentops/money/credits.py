"""Users' credits: what they have, what they are granted, and every change of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentops.accounts import audit
from agentops.core.allowance import AMOUNT_MOST
from agentops.core.dollars import in_dollars
from agentops.core.errors import BadRequest, Conflict, Refusal
from agentops.core.ports.storage import Append
from agentops.money import statements
from agentops.money.purses import of_credits
from agentops.money.records import Balance, LedgerEntry
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.accounts.audit import Origin
    from agentops.core.ports.storage import Storage

NOTE_MOST: Final = 500
SUBJECT_MOST: Final = 300

_BALANCE: Final = "SELECT size, spent, held, tier FROM purses WHERE id = ?"
_LEDGER: Final = """
    SELECT id, at, kind, call, amount, balance_before, balance_after, note FROM ledger
    WHERE project = ? AND subject = ? AND id < ? ORDER BY id DESC LIMIT ?
"""
_NEWEST: Final = 2**63 - 1


async def balance(storage: Storage[Any], project: str, subject: str) -> Balance | None:
    """Nothing for somebody who never had any."""
    if not (storable(project) and storable(subject)):
        return None
    rows = await storage.read_rows(_BALANCE, of_credits(project, subject))
    return Balance(*rows[0]) if rows else None


async def grant(
    storage: Storage[Any], origin: Origin, subject: str, amount: int, *, note: str = "", tier: str | None = None
) -> Balance:
    """Give credits, or take back what is neither spent nor held; told in the ledger and the audit trail."""
    if abs(amount) > AMOUNT_MOST:
        raise BadRequest(f"at most {in_dollars(AMOUNT_MOST)} dollars can be granted at once", param="amount")
    if not 1 <= len(subject) <= SUBJECT_MOST:
        raise BadRequest(f"a subject has 1 to {SUBJECT_MOST} characters", param="subject")
    if len(note) > NOTE_MOST:
        raise BadRequest(f"a note has at most {NOTE_MOST} characters", param="note")
    purse = of_credits(origin.project, subject)
    too_much = Conflict("so much cannot be taken back: it is spent, or held for calls under way", code="credits_spent")
    details = {"amount": amount, "note": note, "tier": tier}
    change = [
        *statements.grant(purse, amount, note, tier, too_much),
        audit.statement(origin, "credits.grant", subject, details),
    ]
    (outcome,) = await storage.append([Append("", "", (), None, change)])
    if isinstance(outcome, Refusal):
        raise outcome
    audit.tell(origin, "credits.grant", subject)
    now = await balance(storage, origin.project, subject)
    assert now is not None  # noqa: S101 - it was made just now
    return now


async def ledger(
    storage: Storage[Any], project: str, subject: str, limit: int, before: int | None = None
) -> Sequence[LedgerEntry]:
    """Newest first; `before` is the id of the last one seen."""
    if not (storable(project) and storable(subject)):
        return []
    before = _NEWEST if before is None else max(0, min(before, _NEWEST))
    return [LedgerEntry(*row) for row in await storage.read_rows(_LEDGER, project, subject, before, limit)]
