"""The tables, as queries see them; the migrations are what makes them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

metadata: Final = MetaData()

_Id: Final = BigInteger().with_variant(Integer(), "sqlite")

projects: Final = Table(
    "projects",
    metadata,
    Column("pk", _Id, primary_key=True),
    Column("name", Text, nullable=False),
)

runs: Final = Table(
    "runs",
    metadata,
    Column("pk", _Id, primary_key=True),
    Column("project", _Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("last_id", BigInteger, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("pruned_count", BigInteger, nullable=False),
    Column("pruned_to", BigInteger, nullable=False),
)
"""`event_count` counts all that was ever recorded; `pruned_to` is the highest id that retention removed.

Postgres adds `first_id`: before it, an append need not look for a key.
"""

events: Final = Table(
    "events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("project", _Id, nullable=False),
    Column("run", _Id, nullable=False),
    Column("body", Text, nullable=False),
    Column("key", Text),
)
"""`body` is the JSON text as it was sent; Postgres adds `xid`, the number of the transaction that stored the row."""

marks: Final = Table(
    "marks",
    metadata,
    Column("upto", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""Up to this id, events were stored at that time or before."""

users: Final = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("username_folded", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("email_folded", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
)
"""Names and addresses are unique however they are written; `password` is an argon2 hash."""

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("stamp", Text, nullable=False),
    Column("current", Text, nullable=False),
    Column("previous", Text),
    Column("salt", Text),
    Column("rotated_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)
"""One row for a sign-in and all the refresh tokens that follow from it; of those only hashes are kept."""

keys: Final = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("lookup", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("rates", Text, nullable=False, server_default="[]"),
    Column("llm", Text, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)
"""`owner` is a subject: one of `users`, or a person whom another system knows."""

audit: Final = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("credential", Text),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("address", Text),
    Column("request_id", Text),
    Column("details", Text, nullable=False),
)

webhooks: Final = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("kinds", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    Column("previous_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Column("disabled_because", Text),
    Column("claimed_by", Text),
    Column("claimed_at", BigInteger),
)
"""`claimed_by` is the process that delivers to it now; the claim of one that died lapses."""

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("webhook", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("once", Text),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("tried_at", BigInteger),
    Column("log", Text, nullable=False, server_default="[]"),
)
"""What is to be sent, and what became of it; triggers add rows as well. `once` names what is told a webhook once."""

purses: Final = Table(
    "purses",
    metadata,
    Column("id", Text, primary_key=True),
    Column("period", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("tier", Text),
)
"""Any limit that is used up: money of a day in micro-dollars, tokens of a minute, a user's credits."""

holds: Final = Table(
    "holds",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("call", Text, nullable=False),
    Column("purse", Text, nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""What calls under way may still spend; those of a process that died end."""

calls: Final = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("api", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("cached", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("estimated", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("own_key", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("first_ms", BigInteger),
    Column("ms", BigInteger, nullable=False),
    Column("run", Text, nullable=False),
)
"""One row for each call of a model; `target` is what the provider calls the `model`."""

usage: Final = Table(
    "usage",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("project", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("cached", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
)
"""The calls of a day added up, when they settle; it stays when they are forgotten."""

ledger: Final = Table(
    "ledger",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("call", Text),
    Column("amount", BigInteger, nullable=False),
    Column("balance_before", BigInteger, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)
"""Every change of a user's credits, in micro-dollars."""

provider_keys: Final = Table(
    "provider_keys",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("project", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("ring", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
)
"""Keys that users have at providers: sealed with the key of the ring that `ring` names."""
