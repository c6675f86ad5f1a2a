"""Reads a table of the source page by page, each while the one before it is being worked on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agentops.core.errors import BadRequest
from agentops.sql.copying.order import key_of
from agentops.sql.tables import events
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from sqlalchemy import Table

    from agentops.sql.copying.sides import Key, Row, Source

_NONE: Final = type(None)


async def pages(source: Source, table: Table, after: Key | None) -> AsyncGenerator[Sequence[Row]]:
    """Every page behind a key; a row that the target could not hold as it is raises."""
    ahead = asyncio.ensure_future(source.page(table, after))
    try:
        while page := await ahead:
            ahead = asyncio.ensure_future(source.page(table, page[-1][0]))
            await require_fit(source, table, page)
            yield page
    finally:
        ahead.cancel()


async def require_fit(source: Source, table: Table, rows: Sequence[Row]) -> None:
    """SQLite stores in any column whatever it is given; what another database cannot hold is not bent to fit."""
    kinds = [{column.type.python_type, *([_NONE] if column.nullable else [])} for column in table.columns]
    for row in rows:
        for value, allowed in zip(row, kinds, strict=True):
            if type(value) not in allowed or (type(value) is str and not storable(value)):
                column = table.columns[row.index(value)].name
                raise BadRequest(await _unfit(source, table, row, column))


async def _unfit(source: Source, table: Table, row: Row, column: str) -> str:
    named = await in_words(source, table, row)
    key = row[0] if isinstance(row[0], int) else f"'{row[0]}'"
    removing = f"DELETE FROM {table.name} WHERE {key_of(table).name} = {key}"  # noqa: S608 - shown, not run
    return (
        f"{named} cannot be copied: its {column} is no text that the target can hold as it is (NUL, half a surrogate "
        "pair, bytes, or no text at all). It was not altered. Mend it in the source, or delete it there "
        f'(sqlite3 FILE "{removing}"), and run the same command again'
    )


async def in_words(source: Source, table: Table, row: Row) -> str:
    if table is events:
        return f"event {row[0]} of {await source.name_of_run(row[2])}"
    return f"row {row[0]!r} of {table.name}"
