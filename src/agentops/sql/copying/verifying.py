"""Compares what is stored on both sides, row by row, and sums it up in a count and a digest for each table."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from agentops.sql.copying.order import APPENDED, EVERY, in_order
from agentops.sql.copying.reading import in_words, pages
from agentops.sql.copying.sides import PAGE_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from agentops.sql.copying.sides import Key, Row, Source, Target, Tell

DIGEST_BYTES: Final = 16

_encode: Final = msgspec.msgpack.Encoder().encode


class Sum(NamedTuple):
    """A whole table, in few characters: as many rows, and a digest over all of them in the order of their keys."""

    rows: int
    digest: str


class Checked(NamedTuple):
    """A table on both sides; `difference` is the first, in words, and empty where there is none."""

    table: str
    source: Sum
    target: Sum
    difference: str


class _Summing:
    def __init__(self) -> None:
        self.rows = 0
        self._digest = blake2b(digest_size=DIGEST_BYTES)

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        for row in rows:
            self._digest.update(_encode(row))

    def sum(self) -> Sum:
        return Sum(self.rows, self._digest.hexdigest())


async def verify(source: Source, target: Target, tell: Tell) -> Sequence[Checked]:
    """Read every row of both, of a source that nobody else has open."""
    return [await _verify(source, target, table, tell) for table in EVERY]


async def _verify(source: Source, target: Target, table: Table, tell: Tell) -> Checked:
    ours, theirs = _Summing(), _Summing()
    newest = await source.newest(table) if table in APPENDED else None
    difference = ""
    low: Key | None = None
    async for rows in pages(source, table, None):
        found = await target.between(table, low, rows[-1][0], 2 * PAGE_ROWS)
        ours.add(rows)
        theirs.add(found)
        if not difference and found != rows:
            difference = await _first_difference(source, table, rows, found)
        low = rows[-1][0]
        tell(f"Verifying {table.name}", ours.rows if newest is None else rows[-1][0], newest)
    beyond = await target.between(table, low, None, PAGE_ROWS)
    theirs.add(beyond)
    if beyond and not difference:
        difference = f"{await in_words(source, table, beyond[0])} is in the target, and the source has none"
    return Checked(table.name, ours.sum(), theirs.sum(), difference)


async def _first_difference(source: Source, table: Table, ours: Sequence[Row], theirs: Sequence[Row]) -> str:
    width = len(in_order(table))
    found = {row[:width]: row for row in theirs}
    for row in ours:
        other = found.pop(row[:width], None)
        if other is None:
            return f"{await in_words(source, table, row)} is in the source, and the target has none"
        if other != row:
            pairs = zip(table.columns, row, other, strict=True)
            columns = [column.name for column, here, there in pairs if here != there]
            return f"{await in_words(source, table, row)} is another in the target: {', '.join(columns)}"
    extra = next(iter(found.values()), theirs[-1])
    return f"{await in_words(source, table, extra)} is in the target, and the source has none"
