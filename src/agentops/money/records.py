"""What is known of a call once it has ended, and what is told of credits."""

from __future__ import annotations

from typing import Literal, NamedTuple

Outcome = Literal["ok", "failed", "cut", "left"]
"""How a call ended: whole; refused by every provider; broken off once it had begun; or ended from our side.

That is by whoever asked, by a server that stops, a credential that was withdrawn, or a call that took too long.
"""

EntryKind = Literal["start", "grant", "call"]


class CallRecord(NamedTuple):
    """One call of a model; `at` is when it began, and `target` what the provider calls the `model`."""

    id: str
    at: int
    project: str
    subject: str
    credential: str
    api: str
    model: str
    provider: str
    target: str
    outcome: Outcome
    input: int
    cached: int
    written: int
    output: int
    estimated: bool
    cost: int
    own_key: bool
    tries: int
    first_ms: int | None
    ms: int
    run: str

    @property
    def is_failed(self) -> bool:
        return self.outcome in {"failed", "cut"}


class Balance(NamedTuple):
    """A user's credits: what was ever granted, spent of it, and held for calls under way."""

    allocated: int
    spent: int
    held: int
    tier: str | None

    @property
    def remaining(self) -> int:
        return self.allocated - self.spent


class LedgerEntry(NamedTuple):
    """A change of a user's credits."""

    id: int
    at: int
    kind: EntryKind
    call: str | None
    amount: int
    balance_before: int
    balance_after: int
    note: str
