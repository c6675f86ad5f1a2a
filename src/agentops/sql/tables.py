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
"""`event_count` counts all that was ever recorded; `pruned_to` is the highest id that retention removed."""

events: Final = Table(
    "events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("project", _Id, nullable=False),
    Column("run", _Id, nullable=False),
    Column("body", Text, nullable=False),
    Column("key", Text),
)
"""`body` is the JSON text as it was sent; Postgres adds `xid`, the transaction that stored the row."""
