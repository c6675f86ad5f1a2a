"""The file as the source of a copy: read in moments, so that the server's checkpoints are not held up by it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import StartError
from agentops.plugins.storage.sqlite._connections import Mode, connect, translated
from agentops.plugins.storage.sqlite._migrating import stored_revision
from agentops.sql.copying.order import columns_of, in_order, key_of
from agentops.sql.copying.sides import PAGE_BYTES, PAGE_ROWS
from agentops.sql.migrating import require_head

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from sqlalchemy import Table

    from agentops.sql.copying.sides import Key, Row

_ALONE: Final = ("busy_timeout=0", "locking_mode=EXCLUSIVE")
"""In this mode SQLite opens the file alone, or not at all; and it is not to be waited for, since others would wait."""

_FIRST_RUN: Final = "SELECT name, started_at FROM runs ORDER BY pk LIMIT 1"
_NAME_OF_RUN: Final = "SELECT r.name, p.name FROM runs r JOIN projects p ON p.pk = r.project WHERE r.pk = ?"


@asynccontextmanager
async def copied_from(path: Path) -> AsyncGenerator[SqliteSource]:
    _require_readable(path)
    source = SqliteSource(path)
    try:
        yield source
    finally:
        source.close()


def _require_readable(path: Path) -> None:
    if not path.exists():
        raise StartError(f"there is no database {str(path.absolute())!r} to copy: name the file that is served")
    if not os.access(path, os.W_OK):
        raise StartError(f"{str(path.absolute())!r} cannot be locked by this user: copy as the user that serves it")


class SqliteSource:
    """Opened for reading while others have the file open; alone with it once nobody has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._turn = Lock()
        self._is_over = False

    @property
    def place(self) -> str:
        return str(self._path.absolute())

    async def hold(self) -> bool:
        return await asyncio.to_thread(self._hold)

    async def page(self, table: Table, after: Key | None) -> Sequence[Row]:
        key = f'"{key_of(table).name}"'
        behind = "" if after is None else f"WHERE {key} > ?"
        order = ", ".join(f'"{column.name}"' for column in in_order(table))
        query = f"SELECT {columns_of(table)} FROM {table.name} {behind} ORDER BY {order} LIMIT ?"  # noqa: S608
        values = (PAGE_ROWS,) if after is None else (after, PAGE_ROWS)
        return await self._rows(query, values)

    async def newest(self, table: Table) -> int:
        highest = f'SELECT max("{key_of(table).name}") FROM {table.name}'  # noqa: S608
        given = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        ((number,),) = await self._rows(f"SELECT max(coalesce(({highest}), 0), coalesce(({given}), 0))", (table.name,))
        return int(number)

    async def first_run(self) -> str:
        return "".join(f"{name} {started_at}" for name, started_at in await self._rows(_FIRST_RUN, ()))

    async def name_of_run(self, run: int) -> str:
        names = await self._rows(_NAME_OF_RUN, (run,))
        return f"run {names[0][0]!r} in project {names[0][1]!r}" if names else "a run that is not there"

    def close(self) -> None:
        """Wait for a read that goes on, though whoever asked for it was cancelled."""
        with self._turn:
            self._is_over = True
            self._leave()

    async def _rows(self, query: str, values: Sequence[str | int]) -> list[Row]:
        return await asyncio.to_thread(self._read, query, values)

    def _read(self, query: str, values: Sequence[str | int]) -> list[Row]:
        with self._turn, translated():
            if self._is_over:
                return []
            if self._connection is None:
                self._connection = self._opened("ro")
            try:
                return _limited(self._connection.execute(query, values))
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
                return _tolerantly(self._connection, query, values)

    def _hold(self) -> bool:
        with self._turn, translated():
            self._leave()
            if self._is_over:
                return False
            try:
                self._connection = self._opened("rw", _ALONE)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            return self._connection is not None

    def _opened(self, mode: Mode, pragmas: tuple[str, ...] = ()) -> sqlite3.Connection:
        connection = connect(self._path, mode, pragmas)
        try:
            require_head(stored_revision(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _tolerantly(connection: sqlite3.Connection, query: str, values: Sequence[str | int]) -> list[Row]:
    """Text that is no UTF-8 is read as half surrogate pairs, so that whoever looks at the rows can name one."""
    connection.text_factory = _with_halves
    try:
        return _limited(connection.execute(query, values))
    finally:
        connection.text_factory = str


def _with_halves(text: bytes) -> str:
    return text.decode(errors="surrogateescape")


def _limited(cursor: sqlite3.Cursor) -> list[Row]:
    """Stop behind the row that makes it too much; the read ends with the cursor."""
    rows: list[Row] = []
    size = 0
    row: tuple[Any, ...]
    for row in cursor:
        rows.append(row)
        size += sum([len(value) for value in row if type(value) is str])
        if size >= PAGE_BYTES:
            break
    cursor.close()
    return rows
